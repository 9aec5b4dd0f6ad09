"""The workflows of continuous integration: what they run is there, what they take is pinned, what they may do is little."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.servers import tool
from tests.test_documentation import check_make, check_marketd

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {path.name: yaml.safe_load(path.read_text()) for path in FILES}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
LINES = [line.strip() for step in STEPS for line in step.get("run", "").splitlines()]


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]

    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)] == []


def test_a_workflow_may_do_nothing_and_a_job_may_read() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {}
        assert {str(job["permissions"]) for job in workflow["jobs"].values()} == {str({"contents": "read"})}
        assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_what_they_call_is_there() -> None:
    for line in LINES:
        if line.startswith("make "):
            check_make(line.split()[1:])
        if found := re.match(r"\S*bin/marketd ([a-z].*)", line):
            check_marketd(found[1].split())
        if found := re.match(r"docker run .* marketd (run .*)", line):
            check_marketd(found[1].split())


def test_the_gate_is_all_there() -> None:
    gate = re.findall(
        r"^\t\$\(BIN\)/(\S+)", re.split(r"^check:.*$", (ROOT / "Makefile").read_text(), flags=re.M)[1].split("\n\n")[0], re.M
    )
    called = "\n".join(LINES)

    assert set(gate) == {"ruff", "mypy", "lint-imports", "python"}
    assert [name for name in gate if f".venv/bin/{name}" not in called] == []
    assert "make test" in called


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_what_the_forge_calls_one(path: Path) -> None:
    checked = subprocess.run(
        [tool("check-jsonschema") or "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout + checked.stderr


if (zizmor := tool("zizmor")) is not None:  # where the auditor of workflows is

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    def test_the_auditor_has_nothing_to_say(path: Path) -> None:
        audited = subprocess.run(
            [zizmor, "--offline", "--no-progress", path], capture_output=True, text=True, timeout=60, check=False
        )

        assert audited.returncode == 0, audited.stdout + audited.stderr
