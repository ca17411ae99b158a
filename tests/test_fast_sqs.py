"""SQS called directly: what it says of each way to fail, and that it goes where the client would go.

That the answers are the client's own is in test_emulators.py, whose queue is called this way.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore import auth, exceptions
from botocore.awsrequest import AWSRequest
from botocore.parsers import ResponseParserError

from consumer.fast_sqs import FastSqs
from consumer.queue import Queue
from local.emulators import aws_environment
from pipeline.aws import sqs_client
from tests.conftest import free_port

Answer = Callable[[BaseHTTPRequestHandler], None]


class Endpoint:
    """A server in the place of SQS that answers every request as `answer` does, and keeps what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True)

    def use_certificate(self, certificate: dict[str, str]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate["TLS_CERTFILE"], certificate["TLS_KEYFILE"])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)


def answering(status: int, body: str, content_type: str = "application/x-amz-json-1.0") -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", content_type)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def hanging_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Endpoint]]:
    """Start an endpoint, and have AWS_* name it."""
    started: list[Endpoint] = []

    def start(answer: Answer, certificate: dict[str, str] | None = None) -> Endpoint:
        endpoint = Endpoint(answer)
        if certificate:
            endpoint.use_certificate(certificate)
        endpoint.thread.start()
        started.append(endpoint)
        for name, value in aws_environment(endpoint.port).items():
            monkeypatch.setenv(name, value)
        if certificate:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{endpoint.port}")
        return endpoint

    yield start
    for endpoint in started:
        endpoint.server.shutdown()
        endpoint.server.server_close()


def receive(read_timeout: float = 5) -> Any:
    return FastSqs(sqs_client(read_timeout)).call("ReceiveMessage", {"QueueUrl": "http://queue"})


def test_a_connection_is_kept_for_the_next_call(serve: Callable[..., Endpoint]) -> None:
    ports = set()

    def answer(request: BaseHTTPRequestHandler) -> None:
        ports.add(request.client_address)
        answering(200, "{}")(request)

    serve(answer)
    sqs = FastSqs(sqs_client(5))
    for _ in range(3):
        assert sqs.call("ReceiveMessage", {}) == {}

    assert len(ports) == 1


def test_a_call_after_a_cut_connection_opens_another(serve: Callable[..., Endpoint]) -> None:
    answers = iter([answering(200, "{}"), hanging_up, answering(200, "{}")])

    def answer(request: BaseHTTPRequestHandler) -> None:
        next(answers)(request)

    serve(answer)
    sqs = FastSqs(sqs_client(5))

    assert sqs.call("ReceiveMessage", {}) == {}
    with pytest.raises(exceptions.ConnectionClosedError, match="closed before we received a valid response"):
        sqs.call("ReceiveMessage", {})
    assert sqs.call("ReceiveMessage", {}) == {}


def test_silence_is_a_read_timeout(serve: Callable[..., Endpoint]) -> None:
    gave_up = threading.Event()

    def wait(_: BaseHTTPRequestHandler) -> None:
        gave_up.wait(10)

    serve(wait)
    with pytest.raises(exceptions.ReadTimeoutError, match="Read timeout on endpoint URL"):
        receive(read_timeout=0.2)
    gave_up.set()


def test_nobody_there_is_an_endpoint_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_environment(free_port()).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(exceptions.EndpointConnectionError, match="Could not connect"):
        receive()


@pytest.mark.usefixtures("names")
def test_what_is_refused_says_what_the_client_says() -> None:
    sqs, missing = sqs_client(5), "http://localhost/000000000000/missing"

    with pytest.raises(exceptions.ClientError) as of_client:
        sqs.receive_message(QueueUrl=missing)
    with pytest.raises(exceptions.ClientError) as direct:
        FastSqs(sqs).call("ReceiveMessage", {"QueueUrl": missing})

    assert str(direct.value) == str(of_client.value)
    assert direct.value.response["Error"]["Code"] == of_client.value.response["Error"]["Code"]


def test_a_page_of_a_gateway_is_an_error_and_no_answer(serve: Callable[..., Endpoint]) -> None:
    serve(answering(502, "<h1>Bad Gateway</h1>", "text/html"))
    with pytest.raises(exceptions.ClientError, match="502"):
        receive()

    serve(answering(200, "<h1>Welcome</h1>", "text/html"))
    with pytest.raises(ResponseParserError, match="the answer to ReceiveMessage is not JSON"):
        receive()


def test_without_credentials_nothing_is_sent(
    serve: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(answering(200, "{}"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(exceptions.NoCredentialsError):
        receive()
    assert endpoint.requests == []


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_tls_is_spoken_with_whom_the_bundle_trusts_only(
    variable: str,
    serve: Callable[..., Endpoint],
    certificate: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    endpoint = serve(answering(200, "{}"), certificate)

    with pytest.raises(exceptions.SSLError, match="certificate"):
        receive()
    assert endpoint.requests == []

    monkeypatch.setenv(variable, certificate["TLS_CERTFILE"])
    assert receive() == {}


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize("path", ["", "/aws", "/a~b/c%20d"])
def test_the_signature_is_that_of_the_sdk(
    token: str, path: str, serve: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(answering(200, "{}"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{endpoint.port}{path}")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    receive()
    [(_, headers)] = endpoint.requests

    time = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr(auth, "get_current_datetime", lambda: time)
    request = AWSRequest(
        "POST",
        f"http://127.0.0.1:{endpoint.port}{path}/",
        headers={name: headers[name] for name in ("content-type", "x-amz-target")},
        data=json.dumps({"QueueUrl": "http://queue"}),
    )
    credentials: Any = boto3.Session().get_credentials()
    auth.SigV4Auth(credentials, "sqs", "eu-west-1").add_auth(request)

    assert headers["authorization"] == request.headers["Authorization"]
    assert headers.get("x-amz-security-token", "") == token


def test_an_answer_in_chunks_is_read_and_one_that_closes_is_followed_by_a_new_connection(
    serve: Callable[..., Endpoint],
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    endpoint = serve(answer)
    sqs = FastSqs(sqs_client(5))

    assert [sqs.call("ReceiveMessage", {}) for _ in range(2)] == [{}, {}]
    assert len(endpoint.requests) == 2


def test_a_path_of_the_endpoint_is_kept(
    serve: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(answering(200, "{}"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{endpoint.port}/aws")

    receive()

    [(path, headers)] = endpoint.requests
    assert path == "/aws/"
    assert headers["x-amz-target"] == "AmazonSQS.ReceiveMessage"


def test_a_proxy_is_used_where_one_is_set_and_changes_nothing_of_a_message(
    serve: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"MessageId": "1", "ReceiptHandle": "r", "Body": "hi", "Attributes": {"SentTimestamp": "1000"}}
    message["MessageAttributes"] = {"raw": {"DataType": "Binary", "BinaryValue": "AP8="}}
    endpoint = serve(answering(200, json.dumps({"QueueUrl": "http://queue", "Messages": [message]})))
    [direct] = Queue(sqs_client(5), "queue", 30).receive(0)

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sqs.example.test")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{endpoint.port}")
    [proxied] = Queue(sqs_client(5), "queue", 30).receive(0)

    assert [path for path, _ in endpoint.requests] == ["/", "/", *["http://sqs.example.test/"] * 2]
    assert direct.attributes == proxied.attributes == {"raw": "AP8="}
    assert direct.message == proxied.message
