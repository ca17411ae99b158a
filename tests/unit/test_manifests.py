"""What the manifests promise: valid on many a Kubernetes, secure, in step with the code and each other."""

import importlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import pytest
import yaml
from flask import Flask
from jsonschema import Draft202012Validator
from kubernetes_validate import utils as schemas
from kubernetes_validate import validate

from consumer.__main__ import LAST_POLL_SECONDS
from consumer.settings import ConsumerSettings
from examples.visits.example import EXAMPLE
from local.emulators import RESOURCES, ROOT
from local.postgres import ROLE
from pipeline.health import Health, health_blueprint
from pipeline.retry import AWS_ERRORS
from pipeline.settings import Settings, load_settings
from pipeline.store.connection import CONNECT_TIMEOUT_SECONDS
from tests.support.manifests import (
    ADDITIONS,
    BASE,
    COMPOSE,
    EXAMPLE_PODS,
    EXAMPLES,
    FOREIGN_GROUPS,
    MANIFESTS,
    OVERLAYS,
    PODS,
    SERVICES,
    VERSION,
    VERSIONS,
    WITH_EXAMPLES,
    Manifest,
    container_of,
    environment_of,
    image_of,
    labels_of,
    needs_kubectl,
    one,
    pod_of,
    read,
    render,
    selects,
    workload,
)
from viewer.__main__ import Viewer
from viewer.settings import ViewerSettings

# ---- Form


@pytest.fixture(autouse=True, scope="module")
def _schemas_are_read_once() -> Iterator[None]:
    """Keep the schemas of a version, megabytes of JSON, for all manifests of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "schema_contents", lru_cache(maxsize=2)(schemas.schema_contents))
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_on(version: str) -> None:
    for manifest in (*MANIFESTS, *ADDITIONS):
        if not manifest["apiVersion"].startswith(FOREIGN_GROUPS):
            validate(manifest, version, strict=True)


@needs_kubectl
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_valid_on(overlay: str, version: str) -> None:
    for manifest in render(overlay):
        if not manifest["apiVersion"].startswith(FOREIGN_GROUPS):
            validate(manifest, version, strict=True)


def test_the_versions_checked_reach_from_the_oldest_promised_to_a_new_one() -> None:
    assert VERSIONS[0].startswith("1.29")
    assert any(version.startswith("1.36") for version in VERSIONS)


def test_the_base_of_the_overlays_is_the_folder_as_kubectl_apply_takes_it() -> None:
    base = yaml.safe_load((BASE / "Kustomization").read_text())

    assert base["resources"] == sorted(path.name for path in BASE.glob("*.yaml"))
    # `kubectl apply -f` would take a file with an extension for a manifest, and fail.
    assert not [path for path in BASE.iterdir() if path.stem.lower() == "kustomization" and path.suffix]


def test_nothing_is_tied_to_a_namespace_or_defined_twice() -> None:
    for manifests in (MANIFESTS, [*MANIFESTS, *ADDITIONS]):
        names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
        assert len(names) == len(set(names))
        assert not [m for m in manifests if "namespace" in m["metadata"]]


def test_everything_carries_the_recommended_labels_with_true_versions() -> None:
    templates = [workload(name)["spec"]["template"] for name in PODS]
    claims = workload("postgres")["spec"]["volumeClaimTemplates"]

    for labelled in (*MANIFESTS, *ADDITIONS, *templates, *claims):
        labels = {k.removeprefix("app.kubernetes.io/"): v for k, v in labelled["metadata"]["labels"].items()}
        labels.pop("grafana_dashboard", None)
        assert set(labels) == {"name", "instance", "version", "component", "part-of"}
        assert labels["part-of"] == labels["instance"] == "fanout"
        foreign = labels["name"] in ("localstack", "postgres") and labels["component"] != "network"
        tag = image_of(labels["name"]).partition(":")[2] if foreign else VERSION
        assert labels["version"] == tag, labelled


def test_make_manifests_writes_the_version_of_pyproject_toml_into_every_label(tmp_path: Path) -> None:
    for folder in ("kubernetes", "overlays", "examples", "localstack-init", "postgres-init"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "Makefile", tmp_path)
    project = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project.replace(f'version = "{VERSION}"', 'version = "98.7.6"'))

    subprocess.run(["make", "--no-print-directory", "manifests"], cwd=tmp_path, check=True)

    folders = ("kubernetes", "overlays", "examples/*/kubernetes")
    for path in (file for folder in folders for file in tmp_path.glob(f"{folder}/**/*")):
        if path.is_file():
            original = (ROOT / path.relative_to(tmp_path)).read_text()
            label = "app.kubernetes.io/version: "
            assert path.read_text() == original.replace(f"{label}{VERSION}", f"{label}98.7.6"), path


def test_selectors_match_the_pods_of_one_workload_and_ports_exist() -> None:
    for manifest in MANIFESTS:
        name, spec = manifest["metadata"]["name"], manifest.get("spec", {})
        if manifest["kind"] == "NetworkPolicy" or "selector" not in spec:
            continue
        selector = spec["selector"].get("matchLabels", spec["selector"])
        assert [pod for pod in PODS if selector.items() <= labels_of(pod).items()] == [name]
        if manifest["kind"] == "Service":
            ports = {port["name"] for port in container_of(name)["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= ports
            assert {port["port"] for port in spec["ports"]} == {
                port["containerPort"] for port in container_of(name)["ports"]
            }


# ---- Pods


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "projected", "secret"}  # of more, those that we use


def violations(pod: Manifest, level: str) -> Iterator[str]:
    """Yield what this level of the standard forbids ("Pod Security Standards", Kubernetes)."""
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "host namespaces"
    kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
    if "hostPath" in kinds or (level == "restricted" and not kinds <= RESTRICTED_VOLUMES):
        yield f"volumes {kinds}"
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
        yield from baseline_violations(container, context)
        if level == "restricted":
            yield from restricted_violations(context)


def baseline_violations(container: Manifest, context: Manifest) -> Iterator[str]:
    if context.get("privileged") or context.get("capabilities", {}).get("add"):
        yield "privileges"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"
    if any("host" in container.get(probe, {}).get("httpGet", {}) for probe in PROBES):
        yield "a probe of another host"


def restricted_violations(context: Manifest) -> Iterator[str]:
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield "root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile"
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities"


@pytest.mark.parametrize("name", [*PODS, *EXAMPLE_PODS])
def test_a_pod_meets_its_pod_security_standard(name: str) -> None:
    level = "baseline" if name == "localstack" else "restricted"

    assert not list(violations(pod_of(name, WITH_EXAMPLES), level))


@pytest.mark.parametrize("name", [*(pod for pod in PODS if pod != "localstack"), *EXAMPLE_PODS])
def test_a_pod_can_write_to_its_volumes_only(name: str) -> None:
    pod, container = pod_of(name, WITH_EXAMPLES), container_of(name, WITH_EXAMPLES)

    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    written = [volume for volume in pod["volumes"] if "configMap" not in volume]
    assert all("sizeLimit" in volume["emptyDir"] for volume in written)


@pytest.mark.parametrize("name", [*PODS, *EXAMPLE_PODS])
def test_a_pod_is_given_nothing_that_it_did_not_ask_for(name: str) -> None:
    pod, resources = pod_of(name, WITH_EXAMPLES), container_of(name, WITH_EXAMPLES)["resources"]

    assert pod["automountServiceAccountToken"] is False
    # Else a Service named viewer sets VIEWER_PORT, and one named localstack LOCALSTACK_PORT, which it reads.
    assert pod["enableServiceLinks"] is False
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def broken() -> None:
    raise AWS_ERRORS[0]


@pytest.mark.parametrize("name", [*SERVICES, *EXAMPLE_PODS])
@pytest.mark.parametrize(
    ("probe", "waits_for_dependencies"),
    [("startupProbe", False), ("livenessProbe", False), ("readinessProbe", True)],
)
def test_only_readiness_waits_for_the_dependencies(
    name: str, probe: str, waits_for_dependencies: bool
) -> None:
    container = container_of(name, WITH_EXAMPLES)
    asked = container[probe]["httpGet"]
    app = Flask(name)
    app.register_blueprint(health_blueprint(Health(60, {"aws": broken})))

    status = app.test_client().get(asked["path"]).status_code

    assert status == (503 if waits_for_dependencies else 200)
    assert asked["port"] in [port["name"] for port in container["ports"]]


@pytest.mark.parametrize("name", SERVICES)
def test_a_probe_leaves_time_to_say_which_dependency_does_not_answer(name: str) -> None:
    assert container_of(name)["readinessProbe"]["timeoutSeconds"] > CONNECT_TIMEOUT_SECONDS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_listens_where_its_pod_is_reached(name: str) -> None:
    environment = environment_of(name)

    [port] = container_of(name)["ports"]

    assert port["containerPort"] == int(environment.get("PORT", Settings.model_fields["port"].default))


def test_the_services_run_the_images_that_make_images_puts_on_the_node() -> None:
    make = ["make", "--dry-run", "--no-print-directory", "images"]
    recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tags = set(re.findall(r"--tag \$image:(\S+)", recipe))

    for name in SERVICES:
        image, _, tag = container_of(name)["image"].partition(":")
        assert (image, tag in tags) == (name, True)
        # The default for `latest` is Always, which asks a registry.
        assert container_of(name)["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("name", [pod for pod in PODS if pod not in SERVICES])
def test_an_image_of_others_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:\d[\w.-]*", image_of(name))


def test_the_localstack_in_the_cluster_is_the_one_that_the_tests_run_on() -> None:
    locked = (ROOT / "requirements" / "localstack.txt").read_text()

    assert f"\nlocalstack=={image_of('localstack').partition(':')[2]} " in f"\n{locked}"


def test_the_time_to_stop_covers_what_stopping_takes() -> None:
    [_, pre_stop] = container_of("viewer")["lifecycle"]["preStop"]["exec"]["command"]
    gunicorn = Viewer(ViewerSettings.model_validate({"database_url": "postgresql://"})).cfg

    assert pod_of("viewer")["terminationGracePeriodSeconds"] > int(pre_stop) + gunicorn.graceful_timeout
    assert pod_of("consumer")["terminationGracePeriodSeconds"] > LAST_POLL_SECONDS


def least_replicas(name: str) -> int:
    for manifest in MANIFESTS:
        if manifest["kind"] == "HorizontalPodAutoscaler":
            target = manifest["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) == (workload(name)["kind"], name):
                # Another apply would undo what the autoscaler did.
                assert "replicas" not in workload(name)["spec"]
                return int(manifest["spec"]["minReplicas"])
    return int(workload(name)["spec"].get("replicas", 1))


@pytest.mark.parametrize("name", ["consumer", "viewer"])
def test_one_pod_always_stays_and_they_run_on_different_nodes(name: str) -> None:
    budget = one("PodDisruptionBudget", name)["spec"]
    [spread] = pod_of(name)["topologySpreadConstraints"]

    assert least_replicas(name) - budget["maxUnavailable"] >= 1
    assert selects(budget["selector"], labels_of(name))
    assert selects(spread["labelSelector"], labels_of(name))
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"  # one node is enough


def test_every_autoscaler_has_something_to_scale_and_room_for_it() -> None:
    for manifest in MANIFESTS:
        if manifest["kind"] == "HorizontalPodAutoscaler":
            spec, target = manifest["spec"], manifest["spec"]["scaleTargetRef"]
            assert one(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]
            assert spec["minReplicas"] < spec["maxReplicas"]


def test_the_viewer_is_updated_without_a_gap() -> None:
    update = workload("viewer")["spec"]["strategy"]["rollingUpdate"]

    assert update["maxUnavailable"] == 0
    assert update["maxSurge"] >= 1  # else no update could begin


def test_the_greetings_have_one_producer_so_that_their_numbers_are_in_order() -> None:
    assert least_replicas("producer") == 1


def test_the_viewer_is_reached_at_the_node_port_that_is_documented() -> None:
    documented = re.findall(r"NodePort (\d+)", (ROOT / "docs" / "kubernetes.md").read_text())

    [port] = one("Service", "viewer")["spec"]["ports"]
    assert documented == [str(port["nodePort"])]


def test_only_the_viewer_is_reached_from_outside_the_cluster() -> None:
    services = [m for m in MANIFESTS if m["kind"] == "Service"]

    outside = {m["metadata"]["name"] for m in services if m["spec"].get("type", "ClusterIP") != "ClusterIP"}

    assert outside == {"viewer"}


# ---- LocalStack and PostgreSQL


def test_localstack_runs_the_hook_that_the_repository_holds() -> None:
    config_map = one("ConfigMap", "localstack-init")
    [mount] = [m for m in container_of("localstack")["volumeMounts"] if m["name"] == "init"]

    assert config_map["data"] == {RESOURCES.name: RESOURCES.read_text()}, "make manifests"
    assert mount["mountPath"] == f"/etc/localstack/init/ready.d/{RESOURCES.name}"
    # Mounted as a folder, it would be found twice, and run twice.
    assert mount["subPath"] == RESOURCES.name
    assert {"name": "init", "configMap": {"name": "localstack-init"}} in pod_of("localstack")["volumes"]


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ('{"completed": true, "scripts": [{"stage": "READY", "name": "x.py", "state": "SUCCESSFUL"}]}', True),
        ('{"completed": false, "scripts": [{"stage": "READY", "name": "x.py", "state": "RUNNING"}]}', False),
        ('{"completed": true, "scripts": [{"stage": "READY", "name": "x.py", "state": "ERROR"}]}', False),
        ('{"completed": true, "scripts": []}', False),
        ("", False),
    ],
)
def test_localstack_is_ready_only_when_the_hook_went_well(answer: str, ready: bool, tmp_path: Path) -> None:
    command = container_of("localstack")["readinessProbe"]["exec"]["command"]
    curl = tmp_path / "curl"
    curl.write_text(f"#!/bin/sh\necho '{answer}'\n")
    curl.chmod(0o755)

    done = subprocess.run(command, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False)

    assert (done.returncode == 0) is ready


def test_localstack_is_told_the_names_and_not_the_address_of_its_own_service() -> None:
    container = container_of("localstack")
    variables = {variable["name"]: variable for variable in container["env"]}

    assert "envFrom" not in container
    # Through its Service, which waits for the hook, the hook would wait for itself.
    assert "AWS_ENDPOINT_URL" not in variables
    # What the hook does not find, it makes up.
    read_by_the_hook = set(re.findall(r'environ\.get\("(\w+)"\)', RESOURCES.read_text()))
    configured = read_by_the_hook & one("ConfigMap", "fanout")["data"].keys()
    assert {name for name in configured if not name.startswith("AWS_")} <= variables.keys()


def test_every_reference_to_a_key_leads_to_one_or_is_optional() -> None:
    for name in PODS:
        for variable in container_of(name).get("env", []):
            for kind, content, reference in (
                ("ConfigMap", "data", variable.get("valueFrom", {}).get("configMapKeyRef")),
                ("Secret", "stringData", variable.get("valueFrom", {}).get("secretKeyRef")),
            ):
                if reference and not reference.get("optional"):
                    assert reference["key"] in one(kind, reference["name"])[content]


def test_postgres_keeps_its_data_on_a_claim_and_is_asked_over_the_network() -> None:
    spec, container = workload("postgres")["spec"], container_of("postgres")
    claims = [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]]
    mounts = [Path(mount["mountPath"]) for mount in container["volumeMounts"] if mount["name"] in claims]
    [folder] = [v["value"] for v in container["env"] if v["name"] == "PGDATA"]

    # In a folder of the volume: its root may hold lost+found, which initdb refuses.
    assert Path(folder).parent in mounts
    assert (
        pod_of("postgres")["securityContext"]["fsGroup"] == pod_of("postgres")["securityContext"]["runAsUser"]
    )
    # While it is being set up it listens on its socket only, and must not be taken for ready.
    for probe in PROBES:
        assert {"pg_isready", "127.0.0.1"} <= set(container[probe]["exec"]["command"])


def test_postgres_prepares_the_role_of_the_services_in_the_cluster_and_in_compose_alike() -> None:
    container, composed = container_of("postgres"), COMPOSE["services"]["postgres"]
    folder = "/docker-entrypoint-initdb.d"

    assert one("ConfigMap", "postgres-init")["data"] == {ROLE.name: ROLE.read_text()}, "make manifests"
    assert {"name": "init", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
    assert f"./{ROLE.relative_to(ROOT)}:{folder}/{ROLE.name}:ro" in composed["volumes"]
    assert [part.replace("$$", "$") for part in composed["entrypoint"]] == container["command"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    for name in ("POSTGRES_USER", "POSTGRES_DB"):
        assert composed["environment"][name] == environment[name]
    assert environment["POSTGRES_USER"] == "postgres"  # not the role in DATABASE_URL


# ---- Configuration


def settings_of(service: str) -> type[Settings]:
    """Return the class that the service's `__main__` loads: the one that its settings.py defines."""
    module = importlib.import_module(f"{service}.settings")
    [found] = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
    ]
    return found


def test_every_key_of_the_configuration_is_a_setting_of_some_service() -> None:
    known = {name.upper() for service in SERVICES for name in settings_of(service).model_fields}
    known |= {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}  # the SDK's
    known |= {"POSTGRES_PASSWORD"}  # of the image

    assert set(one("ConfigMap", "fanout")["data"]) | set(one("Secret", "fanout")["stringData"]) <= known


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_the_configuration(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(service).items():
        monkeypatch.setenv(name, value)

    load_settings(settings_of(service))  # ends the process at a wrong or missing value


def test_a_pod_is_told_the_passwords_that_it_needs_and_no_others() -> None:
    assert "DATABASE_URL" not in environment_of("producer")
    for name in ("consumer", "viewer", "postgres"):
        *_, last = container_of(name)["envFrom"]
        assert last == {"secretRef": {"name": "fanout-own", "optional": True}}  # the last one wins


def test_the_secret_says_that_it_is_for_development_and_agrees_with_itself() -> None:
    secret = one("Secret", "fanout")
    password = secret["stringData"]["POSTGRES_PASSWORD"]

    assert "FOR DEVELOPMENT ONLY" in (BASE / "secret.yaml").read_text()
    assert "development" in password  # who sees it, knows
    assert secret["stringData"]["DATABASE_URL"] == f"postgresql://fanout:{password}@postgres:5432/fanout"


# ---- Additions and overlays


def test_the_additions_name_what_the_base_has() -> None:
    scaled = one("ScaledObject", "consumer", ADDITIONS)["spec"]
    [trigger] = scaled["triggers"]
    credentials = one("TriggerAuthentication", trigger["authenticationRef"]["name"], ADDITIONS)["spec"]
    monitor = one("ServiceMonitor", "fanout", ADDITIONS)["spec"]
    [rule] = one("Ingress", "viewer", ADDITIONS)["spec"]["rules"]
    [path] = rule["http"]["paths"]
    config = one("ConfigMap", "fanout")["data"]

    assert scaled["scaleTargetRef"] == {"name": "consumer"}
    assert trigger["metadata"]["queueURL"].endswith(f"/{config['QUEUE_NAME']}")
    assert trigger["metadata"]["awsRegion"] == config["AWS_REGION"]
    for secret in credentials["secretTargetRef"]:
        assert secret["key"] in one("Secret", secret["name"])["stringData"]
    monitored = [
        m["metadata"]["name"]
        for m in MANIFESTS
        if m["kind"] == "Service"
        and selects(monitor["selector"], m["metadata"]["labels"])
        and monitor["endpoints"][0]["port"] in [port["name"] for port in m["spec"]["ports"]]
    ]
    assert sorted(monitored) == sorted(SERVICES)
    assert path["backend"]["service"] == {"name": "viewer", "port": {"name": "http"}}
    assert one("Service", "viewer")["spec"]["ports"][0]["name"] == "http"


def test_behind_the_ingress_the_viewer_believes_it_and_elsewhere_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = one("ConfigMap", "fanout-ingress", ADDITIONS)["data"]

    references = [source.get("configMapRef") for source in container_of("viewer")["envFrom"]]
    assert {"name": "fanout-ingress", "optional": True} in references
    assert viewer_settings(environment_of("viewer"), monkeypatch).trusted_proxies == []
    assert viewer_settings(told, monkeypatch).trusted_proxies == ["*"]


@needs_kubectl
def test_the_release_overlay_changes_the_images_of_ours_and_nothing_else() -> None:
    released = render("release")

    for service in SERVICES:
        image = container_of(service, released)["image"]
        assert re.fullmatch(rf"registry\.example\.com/fanout/{service}:main-0000000", image)
    for name in ("localstack", "postgres"):
        assert pod_of(name, released) == pod_of(name)
    assert {(m["kind"], m["metadata"]["name"]) for m in released} == {
        (m["kind"], m["metadata"]["name"]) for m in MANIFESTS
    }


@needs_kubectl
def test_the_aws_overlay_leaves_no_emulator_no_database_no_endpoint_and_no_keys() -> None:
    manifests = render("aws")
    config = one("ConfigMap", "fanout", manifests)["data"]

    assert not [
        m for m in manifests if m["metadata"]["name"] in ("localstack", "postgres", "localstack-init")
    ]
    assert not [m for m in manifests if m["kind"] in ("Secret", "StatefulSet")]
    assert "AWS_ENDPOINT_URL" not in config
    for service in SERVICES:
        pod, container = pod_of(service, manifests), container_of(service, manifests)
        assert one("ServiceAccount", service, manifests)["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == service
        assert not list(violations(pod, "restricted"))
        assert "env" not in container
        secrets = [source["secretRef"] for source in container["envFrom"] if "secretRef" in source]
        assert secrets == ([] if service == "producer" else [{"name": "fanout-own"}])
    assert "nodePort" not in one("Service", "viewer", manifests)["spec"]["ports"][0]


def database_cluster() -> Manifest:
    return one("Cluster", "postgres", read([ROOT / "overlays" / "ha" / "postgres.yaml"]))


def test_the_cluster_of_cloudnativepg_has_fields_that_its_documentation_names() -> None:
    schema = json.loads((ROOT / "tests" / "support" / "data" / "cnpg-cluster.schema.json").read_text())

    assert not list(Draft202012Validator(schema).iter_errors(database_cluster()))


def test_the_cluster_of_cloudnativepg_loses_no_commit_and_no_node_takes_two_of_its_servers() -> None:
    spec = database_cluster()["spec"]

    synchronous = spec["postgresql"]["synchronous"]
    assert 1 <= synchronous["number"] < spec["instances"] - 1  # one standby may be away
    assert synchronous["dataDurability"] == "required"
    assert spec["postgresql"]["parameters"]["synchronous_commit"] == "on"
    assert spec["affinity"]["podAntiAffinityType"] == "required"
    assert spec["affinity"]["topologyKey"] == "kubernetes.io/hostname"
    assert spec["enablePDB"] is True
    assert spec["imageName"].split(":")[1].startswith(image_of("postgres").split(":")[1])
    documented = (ROOT / "docs" / "kubernetes.md").read_text()
    assert re.search(r"cnpg-1\.30\.\d+\.yaml", documented)


@needs_kubectl
def test_the_ha_overlay_takes_the_database_from_the_operator_alone() -> None:
    manifests = render("ha")

    assert {m["kind"] for m in manifests if m["metadata"]["name"].startswith("postgres")} == {
        "Cluster",
        "NetworkPolicy",
    }
    assert not {"DATABASE_URL", "POSTGRES_PASSWORD"} & one("Secret", "fanout", manifests)["stringData"].keys()
    for name in ("consumer", "viewer"):
        [variable] = container_of(name, manifests)["env"]
        assert variable["name"] == "DATABASE_URL"
        assert variable["valueFrom"] == {"secretKeyRef": {"name": "postgres-app", "key": "uri"}}
        assert not list(violations(pod_of(name, manifests), "restricted"))
    for service in SERVICES:
        image = container_of(service, manifests)["image"]
        assert image.startswith("registry.example.com/fanout/")


@needs_kubectl
def test_the_servers_of_the_ha_overlay_are_reached_by_whom_they_need_and_nobody_else() -> None:
    manifests = render("ha")
    servers = one("NetworkPolicy", "postgres-servers", manifests)["spec"]
    clients = one("NetworkPolicy", "fanout-database", manifests)["spec"]
    name = database_cluster()["metadata"]["name"]

    assert servers["podSelector"]["matchLabels"] == {"cnpg.io/cluster": name}
    [services, others] = servers["ingress"]
    assert [port["port"] for port in services["ports"]] == [5432]
    for service in ("consumer", "viewer"):
        assert any(selects(peer["podSelector"], labels_of(service)) for peer in services["from"])
        assert selects(clients["podSelector"], labels_of(service))
    assert not any(selects(peer["podSelector"], labels_of("producer")) for peer in services["from"])
    assert [port["port"] for port in others["ports"]] == [5432, 8000]
    assert all("namespaceSelector" in p or p["podSelector"] == servers["podSelector"] for p in others["from"])
    [reached] = clients["egress"]
    assert reached["to"] == [{"podSelector": servers["podSelector"]}]


# ---- Compose


def interpolated(value: object) -> str:
    """Return the value as it is when no variable is set."""
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", r"\1", str(value))


ACCESS = {"ALLOWED_HOSTS", "READ_ONLY"}  # what differs: how the viewer is reached


@pytest.mark.parametrize("service", SERVICES)
def test_compose_tells_a_service_what_the_configmap_tells_it(service: str) -> None:
    composed = {k: interpolated(v) for k, v in COMPOSE["services"][service]["environment"].items()}
    told = environment_of(service)
    fields = {name.upper() for name in settings_of(service).model_fields} - ACCESS

    assert {k: v for k, v in composed.items() if v and k not in ACCESS} == {
        k: v for k, v in told.items() if k in fields or k.startswith("AWS_")
    }


def viewer_settings(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> ViewerSettings:
    for name, value in {"HOST": "0.0.0.0", **environment}.items():  # as the image sets it
        monkeypatch.setenv(name, value)
    return load_settings(ViewerSettings)


def test_the_viewer_of_the_cluster_only_reads_until_it_has_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert viewer_settings(environment_of("viewer"), monkeypatch).why_read_only

    monkeypatch.setenv("VIEWER_TOKEN", "a-token-of-24-characters")
    assert viewer_settings({}, monkeypatch).why_read_only is None


def test_the_viewer_of_compose_writes_because_its_ports_are_published_on_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    composed = COMPOSE["services"]["viewer"]

    settings = viewer_settings({k: interpolated(v) for k, v in composed["environment"].items()}, monkeypatch)

    assert settings.why_read_only is None
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_viewer_answers_to_the_names_of_its_service_and_of_the_ingress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [rule] = one("Ingress", "viewer", ADDITIONS)["spec"]["rules"]

    allowed = viewer_settings(environment_of("viewer"), monkeypatch).allowed_host_names

    assert {"viewer", "viewer.default.svc.cluster.local", rule["host"]} <= allowed
    composed = COMPOSE["services"]["viewer"]["environment"]
    assert interpolated(composed["ALLOWED_HOSTS"]) == "viewer"


def test_compose_runs_and_checks_the_same_images_as_the_cluster() -> None:
    for name in PODS:
        assert interpolated(COMPOSE["services"][name]["image"]) == container_of(name)["image"]
    for name in ("localstack", "postgres"):
        [_, *check] = COMPOSE["services"][name]["healthcheck"]["test"]
        probe = container_of(name)["readinessProbe"]["exec"]["command"]
        assert check == (probe[2:] if probe[0] == "sh" else probe)
    localstack = {v["name"]: v["value"] for v in container_of("localstack")["env"] if "value" in v}
    assert localstack.items() <= COMPOSE["services"]["localstack"]["environment"].items()


def test_the_consumer_that_watches_is_as_restricted_as_the_one_of_the_pipeline() -> None:
    ours, own = pod_of("watch", ADDITIONS), pod_of("consumer")
    [container], [known] = ours["containers"], own["containers"]

    added = {"containers", "topologySpreadConstraints"}
    assert {k: v for k, v in ours.items() if k not in added} == {
        k: v for k, v in own.items() if k not in added
    }
    assert {k: v for k, v in container.items() if k not in ("name", "env")} == {
        k: v for k, v in known.items() if k not in ("name", "env")
    }


def test_the_consumer_that_watches_reads_only_the_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {one["name"]: one["value"] for one in container_of("watch", ADDITIONS)["env"]}
    for name, value in {**environment_of("consumer"), **variables}.items():
        monkeypatch.setenv(name, value)

    settings = load_settings(ConsumerSettings)

    assert (settings.watch, settings.watch_only) == ("*", True)
    # What leads there is left out.
    assert settings.queue_name == environment_of("consumer")["QUEUE_NAME"]


# ---- Examples


def variables_of(container: Manifest) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("name", EXAMPLE_PODS)
def test_a_part_of_an_example_has_a_service_and_replicas_of_which_one_always_stays(name: str) -> None:
    labels = labels_of(name, EXAMPLES)
    [spread] = pod_of(name, EXAMPLES)["topologySpreadConstraints"]

    for selector in (
        workload(name, EXAMPLES)["spec"]["selector"],
        one("PodDisruptionBudget", name, EXAMPLES)["spec"]["selector"],
        {"matchLabels": one("Service", name, EXAMPLES)["spec"]["selector"]},
        spread["labelSelector"],
        one("NetworkPolicy", name, EXAMPLES)["spec"]["podSelector"],
    ):
        assert [pod for pod in EXAMPLE_PODS if selects(selector, labels_of(pod, EXAMPLES))] == [name]
        assert not any(selects(selector, labels_of(pod)) for pod in PODS)
    assert workload(name, EXAMPLES)["spec"]["replicas"] >= 2
    # What kubernetes/network-policies.yaml denies, and the names that it lets be looked up.
    for policy in ("fanout", "fanout-dns"):
        assert selects(one("NetworkPolicy", policy)["spec"]["podSelector"], labels)


@pytest.mark.parametrize("dependency", ["localstack", "postgres"])
def test_the_example_reaches_what_it_depends_on(dependency: str) -> None:
    let_in = one("NetworkPolicy", f"visits-{dependency}", EXAMPLES)["spec"]
    [rule] = let_in["ingress"]
    sources = [peer["podSelector"] for peer in rule["from"]]

    assert selects(let_in["podSelector"], labels_of(dependency))
    for name in EXAMPLE_PODS:
        assert any(selects(source, labels_of(name, EXAMPLES)) for source in sources)
        allowed = one("NetworkPolicy", name, EXAMPLES)["spec"]["egress"]
        assert [
            way["ports"] == rule["ports"]
            for way in allowed
            for peer in way["to"]
            if selects(peer["podSelector"], labels_of(dependency))
        ] == [True]


def test_the_queue_of_the_example_is_the_same_wherever_it_runs() -> None:
    [queue] = EXAMPLE.queues
    wanted = {
        name: json.loads(value) if value[:1] == "{" else value for name, value in queue.environment.items()
    }
    [init] = pod_of("visits-consumer", EXAMPLES)["initContainers"]
    composed = COMPOSE["services"]["visits-resources"]["environment"]

    for variables in (variables_of(init), composed):
        policy = json.loads(variables["FILTER_POLICY"])
        assert {**{k: v for k, v in variables.items() if k in wanted}, "FILTER_POLICY": policy} == wanted
    names = {name: queue.environment[name] for name in ("TOPIC_NAME", "QUEUE_NAME")}
    assert variables_of(container_of("visits-consumer", EXAMPLES)) == names
    assert names.items() <= COMPOSE["services"]["visits-consumer"]["environment"].items()
    for variables in (
        variables_of(container_of("visits-web", EXAMPLES)),
        COMPOSE["services"]["visits-web"]["environment"],
    ):
        assert variables["TOPIC_NAME"] == queue.topic


def test_the_images_of_the_example_run_what_make_example_runs() -> None:
    dockerfile = (ROOT / "examples" / "visits" / "Dockerfile").read_text()
    parts = {part.name: part for part in EXAMPLE.parts}

    assert re.findall(r" AS ([a-z-]+)$", dockerfile, re.MULTILINE) == EXAMPLE_PODS
    assert f"ENV HANDLER={parts['visits-consumer'].environment['HANDLER']}\n" in dockerfile
    assert f'CMD ["python", "-m", "{parts["visits-web-a"].module}"]' in dockerfile
    for name in EXAMPLE_PODS:
        assert interpolated(COMPOSE["services"][name]["image"]) == container_of(name, EXAMPLES)["image"]
        assert COMPOSE["services"][name]["build"]["target"] == name
