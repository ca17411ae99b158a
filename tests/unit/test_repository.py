"""The workflow and Renovate's configuration fit what the repository holds. Neither can be run here."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.documents import ROOT

WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
RENOVATE: dict[str, Any] = json.loads((ROOT / ".github" / "renovate.json").read_text())


def renovated_by(manager: str) -> set[str]:
    """Return the files that match the patterns of this manager."""
    patterns = [pattern.strip("/") for pattern in RENOVATE[manager]["managerFilePatterns"]]
    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("[!.]*/**/*") if path.is_file()]
    return {file for file in files for pattern in patterns if re.search(pattern, file)}


def test_the_workflow_runs_what_anybody_can_run_with_read_only_rights_and_bounded_time() -> None:
    [job] = WORKFLOW["jobs"].values()

    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [step["run"] for step in job["steps"] if step.get("run", "").startswith(".ci")] == [".ci/run"]
    assert job["timeout-minutes"] <= 60
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert "secrets." not in json.dumps(WORKFLOW["jobs"])


def test_renovate_watches_every_lock_but_that_of_localstack() -> None:
    locks = {f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")}

    assert renovated_by("pip_requirements") == locks - {"requirements/localstack.txt"}


def test_renovate_pins_the_base_image_that_make_images_builds_on() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    make = subprocess.run(
        ["make", "-n", "images"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert "docker:pinDigests" in RENOVATE["extends"]
    assert "dockerfile" in RENOVATE["enabledManagers"]
    assert re.search(r"^ARG BASE=python:\S+$", dockerfile, re.MULTILINE)
    assert "BASE" not in make  # else it would build on another, by its tag


def test_the_bill_of_materials_of_an_image_lists_the_lock_that_the_image_installs() -> None:
    make = subprocess.run(["make", "-n", "sbom"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    installed = {stage.split()[2]: re.findall(r"requirements/(\w+)\.txt", stage)[-1:] for stage in stages}

    for image in ("producer", "consumer", "viewer"):
        [lock] = installed[image] or installed["common"]
        assert f"{image}:{lock}" in make


def test_renovate_watches_every_manifest() -> None:
    manifests = {str(path.relative_to(ROOT)) for path in (ROOT / "kubernetes").rglob("*.yaml")}

    assert renovated_by("kubernetes") == manifests


@pytest.mark.parametrize(
    ("version", "allowed"), [("4.14.0", True), ("4.14.1", False), ("4.14.01", False), ("2026.3.0", False)]
)
def test_renovate_leaves_localstack_at_the_release_without_an_account(version: str, allowed: bool) -> None:
    [rule] = [r for r in RENOVATE["packageRules"] if r.get("matchPackageNames") == ["localstack/localstack"]]

    assert bool(re.search(rule["allowedVersions"].strip("/"), version)) is allowed
