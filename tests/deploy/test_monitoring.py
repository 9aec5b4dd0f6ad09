"""What Prometheus and Grafana are given: queries are queries, metrics and labels are ours, alerts are explained and fire."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.metrics import MetricWrapperBase

from marketd.metrics import Metrics
from tests.deploy.queries import asked
from tests.deploy.servers import tool
from tests.deploy.test_compose import OURS, SERVICES

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS, GRAFANA = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana"
CONFIG = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "marketd.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {f"alert {rule['alert']}": rule["expr"] for rule in RULES}
EXPRESSIONS |= {f"panel {panel['title']} {one['refId']}": one["expr"] for panel in PANELS for one in panel["targets"]}
EXPRESSIONS |= {f"annotation {one['name']}": one["expr"] for one in DASHBOARD["annotations"]["list"]}
OF_PROMETHEUS = {"up": {"job", "instance"}}
GIVEN = {"job", "instance"}  # labels that a scrape adds
CASES: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "rules.test.yml").read_text())["tests"]


def labels_of_metrics() -> dict[str, set[str]]:
    metrics = Metrics()
    found: dict[str, set[str]] = dict(OF_PROMETHEUS)
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            (family,) = one.describe()
            labels = set(one._labelnames)
            ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
            found |= {f"{family.name}{end}": labels | ({"le"} if end == "_bucket" else set()) for end in ends}
    page = (ROOT / "docs" / "metrics.md").read_text()
    return found | {name: set() for name in re.findall(r"`(process_\w+)`", page)}


METRICS = labels_of_metrics()


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_and_label_asked_for_is_there(where: str) -> None:
    found = asked(EXPRESSIONS[where])

    assert found.names, "a metric is asked for"
    assert found.names - set(METRICS) == set()
    assert [(name, labels) for name, labels in found.metrics if labels - METRICS[name] - GIVEN] == []
    assert found.by - set().union(*(METRICS[name] for name in found.names)) - GIVEN == set()


@pytest.mark.parametrize("wrong", ["sum(", "up{", "rate(up)", "nosuch(up)", "up or 1", "up = 1"])
def test_what_is_no_query_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        asked(wrong)


def shown() -> Iterator[tuple[str, str, str]]:
    """Texts with labels of a series in them, and where the series is asked for."""
    for rule in RULES:
        yield rule["alert"], rule["expr"], " ".join(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    for panel in PANELS:
        for one in panel["targets"]:
            yield panel["title"], one["expr"], " ".join(re.findall(r"\{\{(\w+)\}\}", one["legendFormat"]))


@pytest.mark.parametrize(("where", "expression", "words"), list(shown()))
def test_a_label_that_is_shown_is_one_that_is_left(where: str, expression: str, words: str) -> None:
    left = {word for text in re.findall(r"\bby \(([^)]*)\)", expression) for word in text.replace(",", " ").split()}
    if " by (" not in expression:
        left = set().union(*(METRICS[name] for name in asked(expression).names)) | GIVEN

    assert set(words.split()) <= left


def test_every_alert_says_what_how_bad_and_what_is_so() -> None:
    names = [rule["alert"] for rule in RULES]

    assert sorted(names) == sorted(set(names))
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}
    assert all({"summary", "description"} <= set(rule["annotations"]) for rule in RULES)


def test_the_repairs_and_types_that_alerts_name_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src" / "marketd").rglob("*.py"))
    named = [word for text in EXPRESSIONS.values() for words in re.findall(r'=~?"([a-z|]+)"', text) for word in words.split("|")]

    assert [word for word in named if f'"{word}"' not in source] == []


def test_every_service_of_compose_is_asked_on_its_port() -> None:
    asked = {name: str(one["port"]) for job in CONFIG["scrape_configs"] for one in job["dns_sd_configs"] for name in one["names"]}

    assert asked == {name: service["environment"]["HTTP_PORT"] for name, service in OURS.items()}


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "marketd.yaml").read_text())["providers"]
    mounts = {volume.split(":")[0]: volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}

    assert source["url"] == "http://prometheus:9090"
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert (
        SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        == f"{provider['options']['path']}/marketd.json"
    )


# Read by Grafana and left out of its schema: what an annotation says, and a variable's query as its editor shows it.
BESIDE_THE_SCHEMA = {".templating.list.definition", ".annotations.list.titleFormat", ".annotations.list.textFormat"}


def test_the_dashboard_is_what_grafana_s_own_schema_calls_one() -> None:
    known = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(DASHBOARD)))

    assert set(differing(DASHBOARD, known)) == BESIDE_THE_SCHEMA


def differing(ours: Any, known: Any, path: str = "") -> Iterator[str]:
    """Where a field of ours is not what came back from the schema's own types: unknown there, or of another type."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for name, value in ours.items():
            yield from differing(value, known.get(name), f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for one, other in zip(ours, known, strict=True):
            yield from differing(one, other, path)
    elif ours != known:
        yield path


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    titles = [panel["title"] for panel in DASHBOARD["panels"]]

    assert len(places) == len(set(places))
    assert max(x for x, _ in places) == 23
    assert (len(ids), len(titles)) == (len(set(ids)), len(set(titles)))


def test_every_alert_is_explained_where_it_says_so() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    explained = set(re.findall(r"^\| `(Marketd\w+)` \|", page, re.M))

    assert explained == {rule["alert"] for rule in RULES}


def test_every_alert_is_tried_where_it_fires_and_where_it_does_not() -> None:
    tried = [(one["alertname"], bool(one["exp_alerts"])) for case in CASES for one in case["alert_rule_test"]]

    assert set(tried) == {(rule["alert"], fires) for rule in RULES for fires in (True, False)}


def test_what_alerts_are_tried_on_is_what_a_scrape_would_bring() -> None:
    given = [(case["name"], *asked(one["series"]).metrics) for case in CASES for one in case["input_series"]]

    assert [one for one in given if one[1][1] != METRICS.get(one[1][0], set()) - {"job"} | one[1][1] & GIVEN] == []
    assert all("good" in str(case["input_series"]) for case in CASES)


if (promtool := tool("promtool")) is not None:  # the report's first lines say where it is not

    @pytest.mark.parametrize(
        "words",
        [
            ("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"),
            ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
            ("test", "rules", "rules.test.yml"),
        ],
        ids=lambda words: " ".join(words[:2]),
    )
    def test_prometheus_accepts_its_files_and_alerts_fire_as_tried(words: tuple[str, ...]) -> None:
        checked = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)

        assert checked.returncode == 0, checked.stdout + checked.stderr
