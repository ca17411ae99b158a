"""The images and the composed system in Docker, as their users run them. `make test-containers` runs this.

Everything here has a name, tag and port of its own, and is removed again: a running `make compose` is not
disturbed.
"""

import json
import os
import shlex
import subprocess
import time
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.emulators import RESOURCES, ROOT
from tests.support.interfaces import Interfaces
from tests.support.ports import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.containers

DOCKER = os.environ.get("DOCKER", "docker")
COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker compose"))
SERVICES = ("producer", "consumer", "viewer")
WATCHER = "fanout"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")
SOURCE = "https://example.com/fanout"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
REVISION = "0123456789abcdef0123456789abcdef01234567"

LIVE = "http://0.0.0.0:5000/health"
READY = "http://0.0.0.0:5000/health?probe=readiness"
# What issue and README promise after LocalStack or PostgreSQL came back.
HEALING_SECONDS = 15
# About the shortest that a consumer takes, for the test that has to wait for longer.
STALL_SECONDS = 31


def run(*command: str, environment: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Return what the command prints; unless told otherwise, a failure shows all that it said."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert not check or done.returncode == 0, f"{shlex.join(command)}: {done.returncode}\n{said}"
    return done.stdout.strip()


def docker(*arguments: str, check: bool = True) -> str:
    """Return what the command prints."""
    return run(DOCKER, *arguments, check=check)


@dataclass(frozen=True)
class Container:
    """One container, asked from inside: `kubectl exec` and the probes see the same."""

    id: str

    def exec(self, *command: str, check: bool = True) -> str:
        return docker("exec", self.id, *command, check=check)

    def curl(self, url: str) -> tuple[int, Any]:
        """Return status and JSON; status 0 where nobody listens."""
        body, _, status = self.exec("curl", "-s", "-w", "\n%{http_code}", url, check=False).rpartition("\n")
        return int(status), json.loads(body) if body else None

    def wait_until_ready(self, seconds: float) -> None:
        wait_for(lambda: self.curl(READY)[0] == 200, seconds, "readiness")

    def wait_until_not_ready(self) -> None:
        wait_for(lambda: self.curl(READY)[0] == 503, 30, "a failing readiness")

    def inspect(self) -> Any:
        return json.loads(docker("inspect", self.id))[0]

    def log(self) -> list[dict[str, Any]]:
        """Return its log lines, each of which must be one JSON object."""
        return [json.loads(line) for line in docker("logs", self.id).splitlines()]

    def said(self) -> list[str]:
        """Return the words of each line of its log."""
        return [line["message"] for line in self.log()]

    def kill(self) -> None:
        docker("kill", self.id)

    def start(self) -> None:
        docker("start", self.id)


@pytest.fixture(scope="module", autouse=True)
def alone(interfaces: Interfaces) -> Iterator[None]:
    """Containers come with interfaces, and go with them."""
    with interfaces.changing():
        if interfaces.docker_state == "absent":
            pytest.skip("Docker does not start here")
        assert interfaces.docker_state == "ready", "their base images were not built"
        yield


# ---- The images, each by itself


@pytest.fixture(scope="module")
def tag() -> Iterator[str]:
    """The images, built by `make images` under a tag of this run."""
    tag = f"test-{uuid.uuid4().hex[:12]}"
    run(
        "make",
        "images",
        f"TAG={tag}",
        f"IMAGE_TAGS={tag}",
        f"SOURCE={SOURCE}",
        f"REVISION={REVISION}",
        f"DOCKER={DOCKER}",
    )
    yield tag
    docker("rmi", *(f"{image}:{tag}" for image in (*SERVICES, WATCHER)))


@pytest.fixture(params=SERVICES)
def image(request: pytest.FixtureRequest, tag: str) -> str:
    return f"{request.param}:{tag}"


@pytest.mark.parametrize(
    ("name", "module", "title"),
    [*((service, service, f"Fanout {service}") for service in SERVICES), (WATCHER, "local.watch", "Fanout")],
)
def test_an_image_says_what_it_is_and_starts_its_service_as_a_numbered_user(
    tag: str, name: str, module: str, title: str
) -> None:
    config = json.loads(docker("image", "inspect", f"{name}:{tag}"))[0]["Config"]

    assert config["User"] == "10001:10001"
    assert [*(config["Entrypoint"] or []), *config["Cmd"]] == ["python", "-m", module]
    labels = {name.removeprefix("org.opencontainers.image."): v for name, v in config["Labels"].items()}
    assert labels == {
        "title": title,
        "licenses": "MIT",
        "version": VERSION,
        "revision": REVISION,
        "source": SOURCE,
    }


def test_an_image_holds_what_its_service_needs_and_no_more(image: str) -> None:
    service = image.partition(":")[0]
    script = (
        "ls -d */ | tr -d /; for tool in gcc cc make curl; do command -v $tool; done; "
        "python -c 'import gunicorn' 2>/dev/null && echo gunicorn; ls -d /root/.cache /var/lib/apt/lists/*"
    )

    found = set(docker("run", "--rm", "--network", "none", image, "sh", "-c", script, check=False).split())

    assert found == {"pipeline", service, "/usr/bin/curl"} | ({"gunicorn"} if service == "viewer" else set())


@pytest.fixture
def lonely(image: str) -> Iterator[Container]:
    """A service hardened as in the manifests, without any network: neither AWS nor database are there."""
    command = ["run", "--detach", "--network", "none", *HARDENED]
    settings = {
        "AWS_ENDPOINT_URL": "http://localstack:4566",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DATABASE_URL": "postgresql://fanout@postgres/fanout",
    }
    for name, value in settings.items():
        command += ["--env", f"{name}={value}"]
    container = Container(docker(*command, image))
    yield container
    docker("rm", "--force", "--volumes", container.id)


def test_a_service_without_aws_and_database_is_alive_waits_and_stops_when_asked(lonely: Container) -> None:
    wait_for(lambda: lonely.curl(LIVE)[0], 20, "an answer")

    assert lonely.curl(LIVE) == (200, {"status": "UP!"})
    status, answer = lonely.curl(READY)
    assert (status, answer["status"]) == (503, "DOWN!")
    began = time.monotonic()
    docker("stop", "--time", "20", lonely.id)
    assert time.monotonic() - began < 10
    assert lonely.inspect()["State"]["ExitCode"] == 0


# ---- The whole system, by compose


@dataclass(frozen=True)
class System:
    """A composed system with a project name of its own."""

    project: str
    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        return run(*COMPOSE, "--project-name", self.project, *arguments, environment=self.environment)

    def container(self, service: str) -> Container:
        return Container(self.compose("ps", "--quiet", service))

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.environment['VIEWER_PORT']}{path}", timeout=10)

    def newest(self) -> int:
        """Return the seq of the newest message on the page; 0 while there is none, or no answer."""
        try:
            answer = self.get("/api/messages?limit=1")
        except (requests.ConnectionError, requests.Timeout):
            return 0
        messages = answer.json().get("messages")  # none while the database is away
        return int(messages[0]["seq"]) if messages else 0

    def shown(self) -> set[str]:
        """Return the ids of all messages that the viewer lists."""
        ids: set[str] = set()
        before = ""
        while messages := self.get(f"/api/messages?limit=500{before}").json().get("messages"):
            ids |= {message["id"] for message in messages}
            before = f"&before={messages[-1]['seq']}"
        return ids

    def published(self) -> set[str]:
        """Return the ids of all messages that the producer says it published."""
        log = self.container("producer").log()
        return {line["message_id"] for line in log if line["message"] == "published"}

    def wait_until_healthy(self, service: str) -> None:
        """Wait for what Docker makes of the service's health check."""
        state = self.container(service).inspect
        wait_for(lambda: state()["State"]["Health"]["Status"] == "healthy", 90, f"health of {service}")

    def started(self) -> dict[str, str]:
        """Return when each service's process was started."""
        return {service: self.container(service).inspect()["State"]["StartedAt"] for service in SERVICES}


@pytest.fixture(scope="module")
def system(tag: str, request: pytest.FixtureRequest) -> Iterator[System]:
    """From nothing to running with one command; the first message is waited for."""
    environment = {
        "TAG": tag,
        "VIEWER_PORT": str(free_port()),
        "AWS_PORT": str(free_port()),
        "STALL_SECONDS": str(STALL_SECONDS),
        "MIN_INTERVAL_SECONDS": "0.1",
        "MAX_INTERVAL_SECONDS": "0.5",
    }
    system = System(f"fanout{tag.replace('-', '')}", environment)
    try:
        system.compose("up", "--detach", "--no-build")
        wait_for(system.newest, 120, "a message on the page")
        yield system
        if request.session.testsfailed:
            print(system.compose("logs", "--no-color", "--tail", "100"))
    finally:
        system.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


def test_the_composed_system_shows_a_greeting_and_every_part_is_healthy(system: System) -> None:
    assert system.get("/api/messages").json()["messages"][0]["preview"] == "Hello world"
    assert "Hello world" in system.get("/").text
    for service in (*SERVICES, "localstack", "postgres"):
        system.wait_until_healthy(service)


def test_the_viewer_sees_how_the_other_services_are(system: System) -> None:
    def states() -> dict[str, str]:
        services = system.get("/api/pipeline").json()["services"]
        return {name: service["state"] for name, service in services.items()}

    wait_for(lambda: states() == dict.fromkeys(SERVICES, "up"), 15, "all of them up")


@pytest.mark.parametrize("service", SERVICES)
def test_a_running_service_answers_curl_is_not_root_and_cannot_write(system: System, service: str) -> None:
    container = system.container(service)

    assert container.curl(LIVE) == (200, {"status": "UP!"})
    assert container.exec("id", "-u") == "10001"
    assert "CapBnd:\t0000000000000000" in container.exec("cat", "/proc/1/status")
    assert "Read-only file system" in container.exec("sh", "-c", "touch /app/x 2>&1", check=False)
    assert container.exec("sh", "-c", "touch /tmp/x && echo written") == "written"


def test_postgres_is_not_root_and_cannot_write_outside_its_volume(system: System) -> None:
    container = system.container("postgres")

    assert container.exec("id", "-u") == "999"
    assert "CapBnd:\t0000000000000000" in container.exec("cat", "/proc/1/status")
    assert "Read-only file system" in container.exec("sh", "-c", "touch /etc/x 2>&1", check=False)


def test_the_role_of_the_services_owns_its_schema_and_nothing_else(system: System) -> None:
    container = system.container("postgres")
    owned = "SELECT string_agg(nspname, ',') FROM pg_namespace WHERE nspowner = 'fanout'::regrole"
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'fanout'"

    for question, answer in ((owned, "fanout_store"), (rights, "f")):
        assert container.exec("psql", "-U", "postgres", "-d", "fanout", "-Atc", question) == answer


def test_the_composed_viewer_takes_writes_under_its_own_names_only(system: System) -> None:
    url = f"http://127.0.0.1:{system.environment['VIEWER_PORT']}/api/messages"

    assert requests.post(url, json={"text": "hi"}, timeout=10).status_code == 202
    refused = requests.post(url, json={"text": "hi"}, headers={"Host": "evil.example"}, timeout=10)
    assert refused.status_code == 421
    status, answer = system.container("consumer").curl("http://viewer:5000/api/messages?limit=1")
    assert (status, len(answer["messages"])) == (200, 1)


def test_every_log_line_is_json_and_tells_the_way_of_a_message_and_the_probes(system: System) -> None:
    said = {service: set(system.container(service).said()) for service in SERVICES}

    assert {"published", "GET /health?probe=readiness 200"} <= said["producer"]
    assert {"received", "stored", "deleted", "GET /health?probe=readiness 200"} <= said["consumer"]
    assert "GET /health?probe=readiness 200" in said["viewer"]


def test_awslocal_shows_topic_and_queues_and_their_urls_lead_there(system: System) -> None:
    localstack = system.container("localstack")
    consumer = system.container("consumer")
    asked = "import boto3; print(boto3.client('sqs', 'us-east-1').list_queues()['QueueUrls'][-1])"

    topics = json.loads(localstack.exec("awslocal", "sns", "list-topics"))["Topics"]
    queue = ("--queue-name", "broadcasts-consumer", "--output", "text")
    url = localstack.exec("awslocal", "sqs", "get-queue-url", *queue)
    attributes = ("--queue-url", url, "--attribute-names", "All")
    found = json.loads(localstack.exec("awslocal", "sqs", "get-queue-attributes", *attributes))["Attributes"]

    assert [topic["TopicArn"].rpartition(":")[2] for topic in topics] == ["broadcasts"]
    assert found["VisibilityTimeout"] == "30"
    assert "broadcasts-consumer-dlq" in found["RedrivePolicy"]
    # Some SDKs send to the host of the URL, not to the endpoint they were given: it must be the caller's way.
    assert url.startswith("http://localhost:4566/")
    assert consumer.exec("python", "-c", asked).startswith("http://localstack:4566/")


@pytest.fixture
def shop(system: System, tag: str, tmp_path: Path) -> Iterator[Container]:
    """A consumer from an image with a handler of one's own, on a topic and a queue of its own."""
    image = f"shop-consumer:{tag}"
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        (ROOT / "examples" / "Dockerfile").read_text().replace("FROM consumer\n", f"FROM consumer:{tag}\n")
    )
    docker("build", "--quiet", "--file", str(dockerfile), "--tag", image, str(ROOT / "examples"))
    consumer = system.container("consumer")
    names = ("TOPIC_NAME=shop", "QUEUE_NAME=shop-consumer")
    consumer.exec("env", *names, "python", "-c", RESOURCES.read_text())
    environment = [variable for variable in consumer.inspect()["Config"]["Env"] if "=" in variable]
    given = [option for variable in (*environment, *names) for option in ("--env", variable)]
    network = f"{system.project}_default"
    hardened = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    container = Container(docker("run", "--detach", *hardened, "--network", network, *given, image))
    try:
        container.wait_until_ready(30)
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.id)
        docker("rmi", image)


def test_a_handler_of_ones_own_ships_in_an_image_made_from_the_consumers(
    system: System, shop: Container
) -> None:
    localstack = system.container("localstack")

    for data in ({"sku": "A-1", "price": 12}, {"sku": "A-2"}):
        event = {
            "specversion": "1.0",
            "id": data["sku"],
            "source": "/shop",
            "type": "shop.order",
            "data": data,
        }
        topic = ("--topic-arn", "arn:aws:sns:us-east-1:000000000000:shop")
        localstack.exec("awslocal", "sns", "publish", *topic, "--message", json.dumps(event))

    def handled(message: str) -> list[str]:
        return [line["message_id"] for line in shop.log() if line["message"] == message]

    wait_for(lambda: handled("order taken") == ["A-1"], 20, "the order that is taken")
    wait_for(lambda: "A-2" in handled("left for retry"), 20, "the order without a price")
    stored = system.get("/api/messages?q=source:/shop").json()["messages"]
    assert {message["id"] for message in stored} == {"A-1", "A-2"}


def test_all_carries_on_after_localstack_was_lost_without_a_restart(system: System) -> None:
    localstack, producer, consumer = map(system.container, ("localstack", "producer", "consumer"))
    started = system.started()
    localstack.kill()

    for service in (producer, consumer):
        service.wait_until_not_ready()
        assert service.curl(LIVE) == (200, {"status": "UP!"})
    localstack.start()
    system.wait_until_healthy("localstack")
    back, newest = time.monotonic(), system.newest()
    wait_for(lambda: system.newest() > newest, HEALING_SECONDS, "a new message")

    for service in (producer, consumer):
        service.wait_until_ready(HEALING_SECONDS - (time.monotonic() - back))
    assert system.started() == started


def test_nothing_is_lost_and_all_carries_on_after_postgresql_was_lost(system: System) -> None:
    postgres, consumer, viewer = map(system.container, ("postgres", "consumer", "viewer"))
    started, before = system.started(), system.published()
    postgres.kill()

    for service in (consumer, viewer):
        service.wait_until_not_ready()
        assert service.curl(LIVE) == (200, {"status": "UP!"})
    assert system.container("producer").curl(READY)[0] == 200
    known = system.published()
    wait_for(lambda: len(system.published() - known) >= 5, what="greetings that cannot be stored")
    published = system.published() - before
    postgres.start()
    wait_for(lambda: takes_connections(postgres), 60, "PostgreSQL")
    back = time.monotonic()

    wait_for(lambda: published <= system.shown(), HEALING_SECONDS, "every message on the page")
    for service in (consumer, viewer):
        service.wait_until_ready(HEALING_SECONDS - (time.monotonic() - back))
    assert system.started() == started


@pytest.fixture
def watcher(system: System, tag: str) -> Iterator[Container]:
    """Fanout in one container, beside the LocalStack of others."""
    network = ("--network", f"{system.project}_default")
    aws = ("--env", "AWS_ENDPOINT_URL=http://localstack:4566")
    container = Container(docker("run", "--detach", *network, *HARDENED, *aws, f"{WATCHER}:{tag}"))
    yield container
    docker("rm", "--force", "--volumes", container.id)


def test_one_container_watches_every_topic_of_a_localstack_and_leaves_nothing_there(
    system: System, watcher: Container
) -> None:
    def awslocal(*arguments: str) -> str:
        return system.container("localstack").exec("awslocal", *arguments)

    def shown() -> list[str]:
        _, answer = watcher.curl("http://0.0.0.0:5000/api/messages?q=topic:orders")
        return [message["preview"] for message in answer["messages"]]

    watcher.wait_until_ready(60)
    arn = json.loads(awslocal("sns", "create-topic", "--name", "orders"))["TopicArn"]
    wait_for(lambda: "orders" in docker("logs", watcher.id), 30, "the tapping of a new topic")
    awslocal("sns", "publish", "--topic-arn", arn, "--message", "two lamps")

    wait_for(lambda: shown() == ["two lamps"], 20, "the message")
    assert "fanout-tap" in awslocal("sqs", "list-queues")
    # The container cannot see who reaches its port.
    url = "http://127.0.0.1:5000/api/messages?all=1"
    assert watcher.exec("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "DELETE", url) == "403"
    docker("stop", "--time", "20", watcher.id)
    assert watcher.inspect()["State"]["ExitCode"] == 0
    assert "fanout-tap" not in awslocal("sqs", "list-queues")
    assert "fanout-tap" not in awslocal("sns", "list-subscriptions")


def test_a_cut_network_to_postgresql_does_not_look_like_a_stall(system: System) -> None:
    postgres, services = system.container("postgres"), [system.container(s) for s in ("consumer", "viewer")]
    network = f"{system.project}_default"
    # No packet will say that PostgreSQL is gone, so what is sent to it stays without an answer and an error.
    docker("network", "disconnect", network, postgres.id)

    try:
        cut = time.monotonic()
        while time.monotonic() - cut < STALL_SECONDS + 10:
            for service in services:
                assert service.curl(LIVE) == (200, {"status": "UP!"})
            time.sleep(1)
    finally:
        docker("network", "connect", "--alias", "postgres", network, postgres.id)
    newest = system.newest()
    wait_for(lambda: system.newest() > newest, HEALING_SECONDS, "a new message")


def takes_connections(postgres: Container) -> bool:
    return "accepting" in postgres.exec("pg_isready", "-h", "127.0.0.1", "-U", "fanout", check=False)
