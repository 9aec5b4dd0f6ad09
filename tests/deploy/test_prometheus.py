"""A real Prometheus with the shipped files asks a real daemon: targets are up, rules are evaluated, every panel has an answer."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cli.conftest import Start
from tests.daemons import eventually_sync
from tests.deploy.queries import asked
from tests.deploy.servers import tool
from tests.deploy.test_monitoring import CONFIG, DASHBOARD, EXPRESSIONS, PROMETHEUS, RULES
from tests.server_process import LOOPBACK, ServerProcess, free_ports

# What may have no answer on a demo: it has no NATS, and on a good day nothing is cut, impossible, dropped or alarming.
SILENT = {
    "Connections": "B", "Gaps and repairs": "B", "Books asked for anew": "A", "Kept out of the data": "ABC",
    "Candles checked": "AB",
    "Dropped, spilled, tried again": "ABC", "Features": "B", "Signals and alerts": "ABC",
}  # fmt: skip
MAY_BE_SILENT = {f"panel {title} {letter}" for title, letters in SILENT.items() for letter in letters}


class Prometheus(ServerProcess):
    """With the shipped rules, and the shipped configuration but for where targets are."""

    def __init__(self, program: Path, target: str) -> None:
        super().__init__("prometheus")
        self._program = program
        (self.port,) = free_ports(1)
        jobs = [one | {"static_configs": [{"targets": [target]}], "relabel_configs": []} for one in CONFIG["scrape_configs"]]
        for job in jobs:
            del job["dns_sd_configs"]
        config = CONFIG | {"scrape_configs": jobs, "rule_files": [str(PROMETHEUS / "rules.yml")]}
        (self._home / "prometheus.yml").write_text(yaml.safe_dump(config))

    def start(self, *, wait: bool = True) -> None:
        data, config = self._home / "data", self._home / "prometheus.yml"
        listen = f"--web.listen-address={LOOPBACK}:{self.port}"
        self._spawn(self._program, f"--config.file={config}", f"--storage.tsdb.path={data}", listen)
        if wait:
            eventually_sync(self._is_ready)

    def _is_ready(self) -> bool:
        assert self.is_running, self.log
        try:
            return httpx.get(f"http://{LOOPBACK}:{self.port}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"http://{LOOPBACK}:{self.port}/api/v1/{path}", params=query).json()

        assert answer["status"] == "success", (query, answer)
        assert answer.get("warnings", []) == []
        return answer["data"]


if (program := tool("prometheus")) is not None:  # the report's first lines say where it is not

    @pytest.fixture
    def prometheus(start: Start) -> Iterator[Prometheus]:
        address = start("demo", "--port", "0").wait_for("open http").split()[3]
        with Prometheus(program, address.removeprefix("http://")) as running:
            yield running

    @pytest.mark.timeout(300)
    def test_a_prometheus_with_the_shipped_files_has_an_answer_to_every_query(prometheus: Prometheus) -> None:
        silent = eventually_sync(lambda: without_answer(prometheus) - MAY_BE_SILENT, 200, lambda names: not names)
        targets = prometheus.ask("targets")["activeTargets"]
        known = {one["metric"] for one in prometheus.ask("targets/metadata")} | {"up"}
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

        assert silent == set()
        assert [(one["health"], one["lastError"]) for one in targets] == [("up", "")]
        assert {family(name) for text in EXPRESSIONS.values() for name in asked(text).names} - known == set()
        assert [one["name"] for one in rules if one["health"] == "err"] == []
        assert len(rules) == len(RULES)
        assert chosen(prometheus) == [targets[0]["labels"]["instance"]]


def without_answer(prometheus: Prometheus) -> set[str]:
    """Queries of panels that bring nothing; alerts and annotations, which should not, are asked too."""
    queries = {where: text.replace("$instance", ".*") for where, text in EXPRESSIONS.items()}
    answers = {where: prometheus.ask("query", query=text)["result"] for where, text in queries.items()}
    return {where for where, found in answers.items() if where.startswith("panel ") and not found}


def family(name: str) -> str:
    """As its TYPE line has it."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


def chosen(prometheus: Prometheus) -> list[str]:
    """What the dashboard's variable would offer."""
    (query,) = [one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)

    assert found is not None
    names: list[str] = prometheus.ask(f"label/{found[2]}/values", **{"match[]": found[1]})
    return names


def test_what_may_be_silent_is_asked() -> None:
    assert MAY_BE_SILENT - set(EXPRESSIONS) == set()
