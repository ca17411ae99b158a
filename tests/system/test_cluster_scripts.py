"""The scripts that talk to a cluster, run against stand-ins that write down how they were called."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.emulators import ROOT

# Answers as kubectl would: the context, what is there already, and nothing else.
KUBECTL = """#!/bin/sh
echo "kubectl $*" >>"$CALLS"
case "$*" in
  "config current-context") echo "$CONTEXT" ;;
  "get secret"*jsonpath*) printf %s "$TOKEN" ;;
  "get secret"*) printf %s "$SECRET" ;;
  "get pod/"*) printf %s "$LEFT" ;;
  "get pods"*) echo "$PODS" ;;
  "get "*) echo "$PRESENT" ;;
  "wait "*) exit 1 ;;
  "exec "*|"create -f -"|"replace -f -") cat >>"$CALLS" ;;
  "apply -k "*) cat "$3/../release/kustomization.yaml" >>"$CALLS" ;;
esac
"""
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
"""


@dataclass(frozen=True)
class Done:
    status: int
    said: str
    calls: list[str]

    def called(self, beginning: str) -> bool:
        return any(call.startswith(beginning) for call in self.calls)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run a script where kubectl and the tools of local clusters are stand-ins."""
    programs = {"kubectl": KUBECTL, "kind": RECORDER, "k3d": RECORDER, "minikube": RECORDER}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    calls = tmp_path / "calls"
    calls.touch()

    def run(
        script: str, *arguments: str, context: str = "kind-kind", present: str = "", **variables: str
    ) -> Done:
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "CONTEXT": context,
            "PRESENT": present,
            **variables,
        }
        done = subprocess.run(
            [ROOT / script, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout + done.stderr, calls.read_text().splitlines())

    return run


@pytest.mark.parametrize(
    ("context", "call"),
    [
        ("kind-test", "kind load docker-image --name test producer:latest consumer:latest viewer:latest"),
        ("k3d-test", "k3d image import --cluster test producer:latest consumer:latest viewer:latest"),
        ("minikube", "minikube --profile minikube image load producer:latest consumer:latest viewer:latest"),
        ("docker-desktop", "kubectl apply -f kubernetes"),
    ],
)
def test_deploying_brings_the_images_to_the_nodes_and_waits(
    run: Callable[..., Done], context: str, call: str
) -> None:
    done = run("kubernetes/deploy.sh", context=context)

    assert done.status == 0, done.said
    assert done.called(call)
    assert done.calls.index("kubectl apply -f kubernetes") >= done.calls.index(call)
    for name in ("deployment/localstack", "statefulset/postgres", "deployment/viewer"):
        assert done.called(f"kubectl rollout status {name}")
    assert not done.called("kubectl rollout restart")


def test_deploying_again_restarts_what_would_not_notice(run: Callable[..., Done]) -> None:
    done = run("kubernetes/deploy.sh", present="deployment.apps/viewer")

    assert done.calls.index("kubectl rollout restart deployment.apps/viewer") > done.calls.index(
        "kubectl apply -f kubernetes"
    )


def test_deploying_to_a_cluster_elsewhere_changes_nothing_and_says_what_to_do(
    run: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "minikube").write_text("#!/bin/sh\nexit 1\n")

    done = run("kubernetes/deploy.sh", context="production")

    assert done.status == 1
    assert "make push release REGISTRY=" in done.said
    assert not done.called("kubectl apply")


def test_a_new_secret_reaches_the_database_the_pods_and_no_list_of_processes(
    run: Callable[..., Done],
) -> None:
    done = run("kubernetes/secret.sh", present="statefulset.apps/postgres")

    assert done.status == 0, done.said
    text = "\n".join(done.calls)
    [password] = re.findall(r"POSTGRES_PASSWORD: (\w+)", text)
    assert len(password) == 48
    assert f"DATABASE_URL: postgresql://fanout:{password}@postgres:5432/fanout" in text
    assert f"ALTER ROLE fanout PASSWORD '{password}'" in text
    assert not [call for call in done.calls if call.startswith("kubectl") and password in call]
    assert done.called("kubectl rollout restart")


@pytest.mark.parametrize(("secret", "verb"), [("", "create"), ("secret/fanout-own", "replace")])
def test_a_new_secret_is_copied_into_no_annotation(run: Callable[..., Done], secret: str, verb: str) -> None:
    done = run("kubernetes/secret.sh", SECRET=secret)

    assert done.status == 0, done.said
    assert done.called(f"kubectl {verb} -f -")
    assert not done.called("kubectl apply")


def test_a_new_secret_is_reported_when_the_old_pods_are_gone(run: Callable[..., Done]) -> None:
    present = "deployment.apps/consumer deployment.apps/viewer"
    pods = "pod/consumer-a pod/viewer-b"

    done = run("kubernetes/secret.sh", present=present, PODS=pods)

    assert done.status == 0, done.said
    [asked] = [call for call in done.calls if call.startswith("kubectl get pods")]
    waits = [f"kubectl wait --for delete {pod} --timeout 2m" for pod in pods.split()]
    status = [f"kubectl rollout status {deployment} --timeout 5m" for deployment in present.split()]
    order = [asked, f"kubectl rollout restart {present}", *status, *waits]
    assert [done.calls.index(call) for call in order] == sorted(done.calls.index(call) for call in order)


def test_a_pod_that_keeps_the_old_secret_is_named(run: Callable[..., Done]) -> None:
    done = run(
        "kubernetes/secret.sh", present="deployment.apps/viewer", PODS="pod/viewer-b", LEFT="pod/viewer-b"
    )

    assert done.status == 1
    assert "pod/viewer-b still runs with the old values" in done.said


def test_a_token_that_the_viewer_would_refuse_changes_nothing(run: Callable[..., Done]) -> None:
    done = run("kubernetes/secret.sh", VIEWER_TOKEN="fifteen-letters")

    assert done.status == 1
    assert "at least 16 characters" in done.said
    assert not done.calls


def test_a_secret_before_the_first_deploy_restarts_nothing(run: Callable[..., Done]) -> None:
    done = run("kubernetes/secret.sh")

    assert done.status == 0, done.said
    assert done.called("kubectl create -f -")
    assert not done.called("kubectl exec")
    assert not done.called("kubectl rollout restart")


@pytest.mark.parametrize(
    ("variables", "token"),
    [
        ({"VIEWER_TOKEN": "sesame, sesame, open"}, "c2VzYW1lLCBzZXNhbWUsIG9wZW4="),
        ({"TOKEN": "a2VwdA=="}, "a2VwdA=="),
        ({}, None),
    ],
)
def test_a_viewer_token_is_set_kept_or_not_there(
    run: Callable[..., Done], variables: dict[str, str], token: str | None
) -> None:
    done = run("kubernetes/secret.sh", **variables)

    [data] = [yaml.safe_load(call)["data"] for call in done.calls if call.startswith("data:")]
    assert data == ({"VIEWER_TOKEN": token} if token else {})


def test_a_release_deploys_these_tags_and_leaves_the_work_tree_alone(run: Callable[..., Done]) -> None:
    file = ROOT / "overlays" / "release" / "kustomization.yaml"
    before = file.read_text()

    done = run("overlays/release.sh", "aws", "registry.test/team", "main-1234567")

    assert done.status == 0, done.said
    assert done.called("kubectl apply -k ")
    applied = "\n".join(done.calls)
    for service in ("producer", "consumer", "viewer"):
        assert f"newName: registry.test/team/{service}\n    newTag: main-1234567" in applied
    assert file.read_text() == before


def test_undeploying_removes_additions_manifests_secret_and_volume(run: Callable[..., Done]) -> None:
    done = run("kubernetes/undeploy.sh")

    assert done.status == 0, done.said
    for target in ("-f kubernetes/keda/", "-f kubernetes ", "secret fanout-own", "persistentvolumeclaim"):
        assert done.called(f"kubectl delete {target}")
