"""The manifests and compose.yaml, read and rendered for the tests of what they promise."""

import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate.utils import all_versions

from local.emulators import ROOT

Manifest = dict[str, Any]

SERVICES = ("producer", "consumer", "viewer")
PODS = (*SERVICES, "localstack", "postgres")
OLDEST_VERSION = (1, 29)
# Each is listed twice, with a strict schema and a lenient one.
VERSIONS = [v for v in all_versions()[::2] if tuple(map(int, v.split(".")[:2])) >= OLDEST_VERSION]
# Kinds that Kubernetes itself does not have, and therefore no schema.
FOREIGN_GROUPS = ("keda.sh/", "monitoring.coreos.com/", "postgresql.cnpg.io/")

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
EXAMPLES = read((ROOT / "examples").glob("*/kubernetes/*.yaml"))
EXAMPLE_PODS = [m["metadata"]["name"] for m in EXAMPLES if m["kind"] == "Deployment"]
ADDITIONS = [*read(BASE.glob("*/*.yaml")), *EXAMPLES]
WITH_EXAMPLES = [*MANIFESTS, *EXAMPLES]
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


def labels_of(name: str, manifests: Iterable[Manifest] = MANIFESTS) -> Mapping[str, str]:
    labels: Mapping[str, str] = workload(name, manifests)["spec"]["template"]["metadata"]["labels"]
    return labels


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


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    def holds(expression: Manifest) -> bool:
        isin = labels.get(expression["key"]) in expression["values"]
        return isin if expression["operator"] == "In" else not isin

    matching: Mapping[str, str] = selector.get("matchLabels", {})
    return matching.items() <= labels.items() and all(map(holds, selector.get("matchExpressions", [])))
