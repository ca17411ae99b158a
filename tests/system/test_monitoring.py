"""kubernetes/monitoring: promtool checks the alerts, a Prometheus that scrapes the services all queries."""

import functools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from local.emulators import ROOT
from local.process import Process, stop_all
from tests.support.consuming import send
from tests.support.emulators import Names
from tests.support.manifests import ADDITIONS, SERVICES, one
from tests.support.ports import free_port
from tests.support.services import Service
from tests.support.waiting import wait_for

CASES = Path(__file__).parent.parent / "support" / "data" / "alerts.yaml"
RUNBOOKS = "docs/operations.md"
SPEC = one("PrometheusRule", "fanout", ADDITIONS)["spec"]
RULES = [rule for group in SPEC["groups"] for rule in group["rules"]]
DASHBOARD = json.loads(one("ConfigMap", "fanout-dashboard", ADDITIONS)["data"]["fanout.json"])
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
VARIABLES = {"$namespace": ".*", "$__rate_interval": "30s"}
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed: apt install prometheus",
)


# ---- The files


def promtool(*arguments: str | Path, folder: Path) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(SPEC))
    shutil.copy(CASES, tmp_path)

    promtool("check", "rules", "rules.yaml", folder=tmp_path)
    promtool("test", "rules", CASES.name, folder=tmp_path)


def test_of_every_alert_it_is_tested_that_it_fires_and_that_it_does_not() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]

    tested = {(case["alertname"], "exp_alerts" in case) for case in cases}

    assert tested == {(rule["alert"], fires) for rule in RULES for fires in (True, False)}


def test_every_alert_leads_to_its_runbook_and_every_runbook_belongs_to_an_alert() -> None:
    chapter = (ROOT / RUNBOOKS).read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    stack = (ROOT / "overlays" / "aws" / "cloudformation.yaml").read_text()

    alerts = [rule["alert"] for rule in RULES]
    assert re.findall(r"^### (.*)", chapter, re.MULTILINE) == alerts
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"{RUNBOOKS}#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(re.findall(rf"{RUNBOOKS},\s+(\w+)\.", stack)) <= set(alerts)


def test_the_dashboard_is_loaded_by_its_label_and_no_panel_hides_another() -> None:
    assert one("ConfigMap", "fanout-dashboard", ADDITIONS)["metadata"]["labels"]["grafana_dashboard"] == "1"
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert all(x < 24 for x, _ in places)


# ---- A Prometheus that scrapes running services


class Prometheus:
    """A Prometheus with our rules that scrapes these services every second."""

    def __init__(self, folder: Path, services: dict[str, Service]) -> None:
        (folder / "rules.yaml").write_text(yaml.safe_dump(SPEC))
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}
                for name, service in services.items()
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        port = free_port()
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self.process = Process(
            "prometheus",
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log_file=folder / "log",
            environment={},
        )

    def answers(self) -> bool:
        try:
            return requests.get(f"{self._url}/status/buildinfo", timeout=5).ok
        except requests.ConnectionError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[float]:
        """Return the values of an instant query, without those that are no numbers."""
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        values = [float(one["value"][1]) for one in self.ask("query", query=expression)["result"]]
        return [value for value in values if not math.isnan(value)]


@pytest.fixture
def prometheus(
    create: Callable[..., Names], database_url: str, start: Callable[..., Service], tmp_path: Path
) -> Iterator[Prometheus]:
    """One that scrapes all three services while messages flow and some fail."""
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    environment = {
        **names.environment,
        "DATABASE_URL": database_url,
        "HANDLER": "store,tests.support.handlers:refuse_poison",
        "MENDED": str(tmp_path / "never"),
        "RETRY_SECONDS": "0",
        "RATE_PER_SECOND": "20",
    }
    services = {name: start(name, environment, wait=False) for name in SERVICES}
    for service in services.values():
        wait_for(service.is_ready, 30)
    prometheus = Prometheus(tmp_path, services)
    try:
        prometheus.process.wait_until(prometheus.answers, 30)
        send(names, *(f"poison {number}" for number in range(3)))
        yield prometheus
    finally:
        stop_all([prometheus.process], 5)


@needs_prometheus
def test_every_query_of_the_dashboard_returns_data_and_a_dead_letter_raises_its_alert(
    prometheus: Prometheus,
) -> None:
    for title, target in TARGETS:
        ask = functools.partial(prometheus.query, target["expr"])
        wait_for(ask, 30, f"{title}: {target['expr']}")

    def firing() -> list[str]:
        return [alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]]

    wait_for(lambda: "FanoutDeadLetters" in firing())
    assert firing() == ["FanoutDeadLetters"]
    [group] = prometheus.ask("rules")["groups"]
    assert {rule["name"]: rule["health"] for rule in group["rules"]} == {
        rule["alert"]: "ok" for rule in RULES
    }
