"""What the manifests promise: valid on many a Kubernetes, secure, in step with the code and each other."""

import importlib
import ipaddress
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils as schemas
from kubernetes_validate import validate
from kubernetes_validate.utils import all_versions

from consumer.__main__ import LAST_POLL_SECONDS
from local.emulators import RESOURCES, ROOT
from pipeline.settings import Settings, load_settings
from pipeline.store.connection import CONNECT_TIMEOUT_SECONDS
from viewer.__main__ import Viewer
from viewer.settings import ViewerSettings

Manifest = dict[str, Any]

SERVICES = ("producer", "consumer", "viewer")
PODS = (*SERVICES, "localstack", "postgres")
OLDEST_VERSION = (1, 29)
# Each is listed twice, with a strict schema and a lenient one.
VERSIONS = [v for v in all_versions()[::2] if tuple(map(int, v.split(".")[:2])) >= OLDEST_VERSION]
# Kinds that Kubernetes itself does not have, and therefore no schema.
FOREIGN_GROUPS = ("keda.sh/", "monitoring.coreos.com/")

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BASE = ROOT / "kubernetes"
OVERLAYS = [path.parent.name for path in (ROOT / "overlays").glob("*/kustomization.yaml")]
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not there")


def read(paths: Iterable[Path]) -> list[Manifest]:
    return [m for path in sorted(paths) for m in yaml.safe_load_all(path.read_text()) if m]


@cache
def render(overlay: str) -> tuple[Manifest, ...]:
    command = ["kubectl", "kustomize", str(ROOT / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr  # deprecated fields are announced there
    return tuple(yaml.safe_load_all(done.stdout))


MANIFESTS = read(BASE.glob("*.yaml"))
ADDITIONS = read(BASE.glob("*/*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def one(kind: str, name: str, manifests: Iterable[Manifest] = MANIFESTS) -> Manifest:
    [found] = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def workload(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> Manifest:
    return one("StatefulSet" if name == "postgres" else "Deployment", name, manifests)


def pod_of(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> Manifest:
    """Return the pod's spec."""
    spec: Manifest = workload(name, manifests)["spec"]["template"]["spec"]
    return spec


def container_of(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> Manifest:
    [container] = pod_of(name, manifests)["containers"]
    assert isinstance(container, dict)
    return container


def image_of(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> str:
    """Return the image's name and tag, without the digest that Renovate may have added."""
    return str(container_of(name, manifests)["image"]).partition("@")[0]


def labels_of(name: str) -> Mapping[str, str]:
    labels: Mapping[str, str] = workload(name)["spec"]["template"]["metadata"]["labels"]
    return labels


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
        assert set(labels) == {"name", "instance", "version", "component", "part-of"}
        assert labels["part-of"] == labels["instance"] == "fanout"
        foreign = labels["name"] in ("localstack", "postgres") and labels["component"] != "network"
        tag = image_of(labels["name"]).partition(":")[2] if foreign else VERSION
        assert labels["version"] == tag, labelled


def test_make_manifests_writes_the_version_of_pyproject_toml_into_every_label(tmp_path: Path) -> None:
    for folder in ("kubernetes", "overlays", "localstack-init"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "Makefile", tmp_path)
    project = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project.replace(f'version = "{VERSION}"', 'version = "98.7.6"'))

    subprocess.run(["make", "--no-print-directory", "manifests"], cwd=tmp_path, check=True)

    for path in [*tmp_path.glob("kubernetes/**/*"), *tmp_path.glob("overlays/**/*")]:
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


@pytest.mark.parametrize("name", PODS)
def test_a_pod_meets_its_pod_security_standard(name: str) -> None:
    level = "baseline" if name == "localstack" else "restricted"

    assert not list(violations(pod_of(name), level))


@pytest.mark.parametrize("name", [pod for pod in PODS if pod != "localstack"])
def test_a_pod_can_write_to_its_volumes_only(name: str) -> None:
    pod, container = pod_of(name), container_of(name)

    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"])


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_given_nothing_that_it_did_not_ask_for(name: str) -> None:
    pod, resources = pod_of(name), container_of(name)["resources"]

    assert pod["automountServiceAccountToken"] is False
    # Else a Service named viewer sets VIEWER_PORT, and one named localstack LOCALSTACK_PORT, which it reads.
    assert pod["enableServiceLinks"] is False
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_and_judged_alive_without_its_dependencies(name: str) -> None:
    container = container_of(name)
    asked = {probe: container[probe]["httpGet"] for probe in PROBES}

    assert asked == {
        "startupProbe": {"path": "/health", "port": "http"},
        "livenessProbe": {"path": "/health", "port": "http"},
        "readinessProbe": {"path": "/health?probe=readiness", "port": "http"},
    }
    assert container["readinessProbe"]["timeoutSeconds"] > CONNECT_TIMEOUT_SECONDS
    assert container["ports"] == [{"name": "http", "containerPort": Settings.model_fields["port"].default}]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_the_image_that_make_images_put_on_the_node(name: str) -> None:
    container = container_of(name)

    assert container["image"] == f"{name}:latest"
    # The default for `latest` is Always, which asks a registry.
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_the_time_to_stop_covers_what_stopping_takes() -> None:
    [_, pre_stop] = container_of("viewer")["lifecycle"]["preStop"]["exec"]["command"]
    gunicorn = Viewer(ViewerSettings.model_validate({"database_url": "postgresql://"})).cfg

    assert pod_of("viewer")["terminationGracePeriodSeconds"] > int(pre_stop) + gunicorn.graceful_timeout
    assert pod_of("consumer")["terminationGracePeriodSeconds"] > LAST_POLL_SECONDS


def test_the_viewer_is_updated_without_a_gap_scales_and_is_reached_at_port_30000() -> None:
    spec = workload("viewer")["spec"]
    autoscaler = one("HorizontalPodAutoscaler", "viewer")["spec"]
    service = one("Service", "viewer")["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in spec  # another apply would undo what the autoscaler did
    assert autoscaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "viewer"}
    assert 2 <= autoscaler["minReplicas"] < autoscaler["maxReplicas"]
    assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30000)
    assert one("PodDisruptionBudget", "viewer")["spec"]["maxUnavailable"] == 1


def test_two_consumers_run_on_different_nodes_and_one_always_stays() -> None:
    [spread] = pod_of("consumer")["topologySpreadConstraints"]

    assert workload("consumer")["spec"]["replicas"] == 2
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"].items() <= labels_of("consumer").items()
    assert one("PodDisruptionBudget", "consumer")["spec"]["maxUnavailable"] == 1
    assert workload("producer")["spec"]["replicas"] == 1


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

    assert image_of("localstack") == "localstack/localstack:4.14.0"
    assert "envFrom" not in container
    # Through its Service, which waits for the hook, the hook would wait for itself.
    assert "AWS_ENDPOINT_URL" not in variables
    assert variables["SERVICES"]["value"] == "sns,sqs"
    assert variables["LOCALSTACK_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["optional"] is True
    for name in ("TOPIC_NAME", "QUEUE_NAME", "VISIBILITY_TIMEOUT_SECONDS"):
        assert variables[name]["valueFrom"]["configMapKeyRef"] == {"name": "fanout", "key": name}


def test_postgres_keeps_its_data_on_a_claim_and_is_asked_over_the_network() -> None:
    spec, container = workload("postgres")["spec"], container_of("postgres")
    [claim] = spec["volumeClaimTemplates"]
    [data] = [m for m in container["volumeMounts"] if m["name"] == claim["metadata"]["name"]]
    [folder] = [v["value"] for v in container["env"] if v["name"] == "PGDATA"]

    assert image_of("postgres") == "postgres:17"
    assert Path(folder).parent == Path(data["mountPath"])
    assert pod_of("postgres")["securityContext"]["fsGroup"] == 999
    for probe in PROBES:
        assert {"pg_isready", "127.0.0.1"} <= set(container[probe]["exec"]["command"])


# ---- Configuration


def environment_of(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> dict[str, str]:
    """Return the variables that a pod gets from ConfigMap and Secret."""
    container = container_of(name, manifests)
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        kind, content = ("ConfigMap", "data") if "configMapRef" in source else ("Secret", "stringData")
        reference = source.get("configMapRef") or source["secretRef"]
        if not reference.get("optional"):
            found |= one(kind, reference["name"], manifests)[content]
    for variable in container.get("env", []):
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference and reference["name"] == "fanout":
            found[variable["name"]] = one("Secret", "fanout", manifests)["stringData"][reference["key"]]
    return found


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
    assert password == "for-development-only"
    assert secret["stringData"]["DATABASE_URL"] == f"postgresql://fanout:{password}@postgres:5432/fanout"


# ---- Network


@dataclass(frozen=True)
class Peer:
    """Somebody on the network: our own have no namespace here, an address only who is outside the cluster."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = None
    address: str | None = None


OURS = [Peer(name, labels_of(name)) for name in PODS]
OTHERS = [
    Peer("dns", {"k8s-app": "kube-dns"}, namespace="kube-system"),
    Peer("pod elsewhere", {"app.kubernetes.io/name": "viewer"}, namespace="other"),
    Peer("internet", address="203.0.113.7"),
    Peer("office", address="192.168.1.7"),
]
PORTS = (53, 80, 443, 4566, 5000, 5432)


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    def holds(expression: Manifest) -> bool:
        isin = labels.get(expression["key"]) in expression["values"]
        return isin if expression["operator"] == "In" else not isin

    matching: Mapping[str, str] = selector.get("matchLabels", {})
    return matching.items() <= labels.items() and all(map(holds, selector.get("matchExpressions", [])))


def names_peer(rule: Manifest, peer: Peer) -> bool:
    if block := rule.get("ipBlock"):
        if peer.address is None:
            return False
        address = ipaddress.ip_address(peer.address)
        inside = [address in ipaddress.ip_network(c) for c in (block["cidr"], *block.get("except", []))]
        return inside[0] and not any(inside[1:])
    if peer.address is not None:
        return False
    if "namespaceSelector" in rule:
        here = {"kubernetes.io/metadata.name": peer.namespace or "ours"}
        if not selects(rule["namespaceSelector"], here):
            return False
    elif peer.namespace is not None:
        return False
    return selects(rule.get("podSelector", {}), peer.labels)


def permits(policies: list[Manifest], direction: str, pod: Peer, peer: Peer, port: int) -> bool:
    """Tell whether `pod` may be reached by, or reach, the peer ("Network Policies", Kubernetes)."""
    applying = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    peers = "from" if direction == "Ingress" else "to"
    return not applying or any(
        (peers not in rule or any(names_peer(named, peer) for named in rule[peers]))
        and ("ports" not in rule or port in [allowed["port"] for allowed in rule["ports"]])
        for spec in applying
        for rule in spec.get(direction.lower(), [])
    )


def flows(manifests: Iterable[Manifest]) -> set[tuple[str, str, int]]:
    """Return everything that the policies let through."""
    policies = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    return {
        (source.name, target.name, port)
        for source in (*OURS, *OTHERS)
        for target in (*OURS, *OTHERS)
        for port in PORTS
        if (source in OURS or target in OURS)
        and source != target
        and (source not in OURS or permits(policies, "Egress", source, target, port))
        and (target not in OURS or permits(policies, "Ingress", target, source, port))
    }


ALLOWED = {
    ("producer", "localstack", 4566),
    ("consumer", "localstack", 4566),
    ("consumer", "postgres", 5432),
    ("viewer", "localstack", 4566),
    ("viewer", "postgres", 5432),
    ("viewer", "producer", 5000),
    ("viewer", "consumer", 5000),
    ("localstack", "internet", 443),
    *((name, "dns", 53) for name in (*SERVICES, "localstack")),
    *((anybody, "viewer", 5000) for anybody in ("pod elsewhere", "dns", "internet", "office")),
}


def test_the_network_lets_through_the_flows_of_the_design_and_nothing_else() -> None:
    assert flows(MANIFESTS) == ALLOWED


def test_the_additions_open_one_way_in_each() -> None:
    keda = read((BASE / "keda").glob("*.yaml"))
    monitoring = read((BASE / "monitoring").glob("*.yaml"))
    operator = Peer("keda", namespace="keda")
    prometheus = Peer("prometheus", namespace="monitoring")

    def reached(additions: list[Manifest], visitor: Peer) -> set[tuple[str, int]]:
        policies = [m for m in (*MANIFESTS, *additions) if m["kind"] == "NetworkPolicy"]
        return {
            (pod.name, port)
            for pod in OURS
            for port in PORTS
            if permits(policies, "Ingress", pod, visitor, port)
        }

    assert reached(keda, operator) == {("localstack", 4566), ("viewer", 5000)}
    assert reached(monitoring, prometheus) == {(service, 5000) for service in SERVICES}


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
        assert one("ServiceAccount", pod["serviceAccountName"], manifests)["metadata"]["annotations"]
        assert not list(violations(pod, "restricted"))
        assert "env" not in container
        secrets = [source["secretRef"] for source in container["envFrom"] if "secretRef" in source]
        assert secrets == ([] if service == "producer" else [{"name": "fanout-own"}])
    assert "nodePort" not in one("Service", "viewer", manifests)["spec"]["ports"][0]
    outward = {(source, port) for source, target, port in flows(manifests) if target == "internet"}
    assert {(s, p) for s, p in outward if s in SERVICES} == {
        ("producer", 443),
        ("consumer", 443),
        ("viewer", 443),
        ("consumer", 5432),
        ("viewer", 5432),
    }


# ---- Compose


def interpolated(value: object) -> str:
    """Return the value as it is when no variable is set."""
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", r"\1", str(value))


@pytest.mark.parametrize("service", SERVICES)
def test_compose_tells_a_service_what_the_configmap_tells_it(service: str) -> None:
    composed = {k: interpolated(v) for k, v in COMPOSE["services"][service]["environment"].items()}
    told = environment_of(service)
    fields = {name.upper() for name in settings_of(service).model_fields}

    assert {k: v for k, v in composed.items() if v} == {
        k: v for k, v in told.items() if k in fields or k.startswith("AWS_")
    }


def test_compose_runs_and_checks_the_same_images_as_the_cluster() -> None:
    for name in PODS:
        assert interpolated(COMPOSE["services"][name]["image"]) == container_of(name)["image"]
    for name in ("localstack", "postgres"):
        [_, *check] = COMPOSE["services"][name]["healthcheck"]["test"]
        probe = container_of(name)["readinessProbe"]["exec"]["command"]
        assert check == (probe[2:] if probe[0] == "sh" else probe)
    localstack = {v["name"]: v["value"] for v in container_of("localstack")["env"] if "value" in v}
    assert localstack.items() <= COMPOSE["services"]["localstack"]["environment"].items()
