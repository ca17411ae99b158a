"""The network policies let through what the design draws, and nothing else."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.manifests import (
    BASE,
    MANIFESTS,
    PODS,
    SERVICES,
    Manifest,
    labels_of,
    needs_kubectl,
    one,
    read,
    render,
    selects,
)


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


def test_watching_opens_what_its_consumer_needs() -> None:
    watch = read((BASE / "watch").glob("*.yaml"))
    labels = one("Deployment", "watch", watch)["spec"]["template"]["metadata"]["labels"]
    policies = [m for m in (*MANIFESTS, *watch) if m["kind"] == "NetworkPolicy"]
    pod = Peer("watch", labels)
    peers = [*OURS, *OTHERS]

    reached = {
        (peer.name, port)
        for peer in peers
        for port in PORTS
        if permits(policies, "Egress", pod, peer, port)
        and (peer in OTHERS or permits(policies, "Ingress", peer, pod, port))
    }
    reached_by = {
        (peer.name, port)
        for peer in peers
        for port in PORTS
        if permits(policies, "Ingress", pod, peer, port)
        and (peer in OTHERS or permits(policies, "Egress", peer, pod, port))
    }

    # Anybody may reach the viewer, but this pod reaches out to nobody else.
    assert reached == {("localstack", 4566), ("postgres", 5432), ("dns", 53)}
    assert reached_by == set()
    assert flows((*MANIFESTS, *watch)) == ALLOWED


@needs_kubectl
def test_on_aws_the_services_reach_aws_and_the_database_outside_the_cluster() -> None:
    manifests = render("aws")

    outward = {(source, port) for source, target, port in flows(manifests) if target == "internet"}
    assert {(s, p) for s, p in outward if s in SERVICES} == {
        ("producer", 443),
        ("consumer", 443),
        ("viewer", 443),
        ("consumer", 5432),
        ("viewer", 5432),
    }
