"""The audit: a reported hole fails, an allowed one until its day, and who could not be asked is named."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.ask import BUILT_WITH, ROOT, SHIPPED, Allowed, Hole, judged, npm_holes, python_holes, read_allowed
from tests.test_shape import tracked_files

TODAY = date(2026, 11, 21)
HOLE = Hole("requirements.lock", "thing", "1.0", frozenset({"GHSA-1", "CVE-1"}), "fixed in 1.1", SHIPPED)
REPORT = {
    "dependencies": [
        {"name": "thing", "version": "1.0", "vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}]},
        {"name": "tool", "version": "2.0", "vulns": [{"id": "GHSA-2", "fix_versions": []}]},
        {"name": "fine", "version": "3.0", "vulns": []},
    ]
}


def of(number: int, words: str) -> dict[str, str]:
    return {"url": f"https://forge.example/GHSA-{number}", "severity": "high", "title": words}


NPM_REPORT = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "chart": {"via": [of(3, "it draws")], "nodes": ["node_modules/chart"]},
        "builder": {"via": ["deep"], "nodes": ["node_modules/builder"]},
        "deep": {"via": [of(4, "it digs")], "nodes": ["node_modules/deep"]},
    },
}
NPM_LOCK = {"packages": {"node_modules/chart": {"version": "1"}, "node_modules/builder": {"version": "2", "dev": True},
                         "node_modules/deep": {"version": "3", "dev": True}}}  # fmt: skip


def test_a_hole_fails_once_for_both_locks() -> None:
    assert [str(HOLE)] == judged([HOLE, HOLE._replace(lock="requirements-dev.lock")], [], TODAY)


@pytest.mark.parametrize("id", ["GHSA-1", "CVE-1"])
def test_an_allowed_hole_may_stay_until_its_day(id: str) -> None:
    allowed = [Allowed(id, "thing", TODAY, TODAY, "not used")]

    assert [] == judged([HOLE], allowed, TODAY)
    assert 2 == len(judged([HOLE], allowed, TODAY + timedelta(days=1)))
    assert 1 == len(judged([HOLE._replace(package="other")], allowed, TODAY))


def test_what_pip_audit_reports_is_read() -> None:
    found = python_holes("requirements-dev.lock", REPORT, "thing==1.0 \\\nfine==3.0 \\\n")

    assert [(HOLE.ids, SHIPPED), (frozenset({"GHSA-2"}), BUILT_WITH)] == [(one.ids, one.use) for one in found]
    assert ["fixed in 1.1", "no version without it yet"] == [one.words for one in found]


def test_a_package_that_nobody_knows_is_named_and_hides_no_hole(project: Path, saying: "Saying") -> None:
    skipped = [{"name": f"mystery{at}", "skip_reason": "not found"} for at in range(5)]
    saying(PIP_AUDIT, {"dependencies": [*REPORT["dependencies"], *skipped]})
    saying(NPM, NPM_SOUND)
    code, said = audit(project)

    assert 1 == code
    assert "REPORTED: requirements.lock: thing 1.0" in said
    assert "NOT ASKED for reported holes in requirements.lock: who was asked knows nothing of mystery0, mystery1" in said
    assert "mystery2 and 2 more" in said


def test_what_npm_reports_is_read() -> None:
    found = npm_holes("web/package-lock.json", NPM_REPORT, NPM_LOCK)

    assert [("chart", "1", SHIPPED), ("deep", "3", BUILT_WITH)] == [(one.package, one.version, one.use) for one in found]
    assert frozenset({"GHSA-3"}) == found[0].ids


def test_what_is_allowed_has_its_reason_and_its_day_within_half_a_year() -> None:
    for one in read_allowed():
        assert len(one.why) > 20
        assert one.since < one.until <= one.since + timedelta(days=183)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is asked about, with the tools replaced by programs of ours."""
    for name in ("audit/ask.py", "audit/allowed.toml", "requirements.lock", "requirements-dev.lock", "web/package-lock.json",
                 "clients/typescript/package-lock.json"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
    return tmp_path


Saying = Callable[..., None]


@pytest.fixture
def saying(project: Path) -> Saying:
    """Makes a tool that prints this, and ends with 1 as the real ones do where there is something to tell."""

    def make(path: str, out: Any, err: str = "") -> None:
        program = project / path
        program.parent.mkdir(parents=True, exist_ok=True)
        text = out if isinstance(out, str) else json.dumps(out)
        program.write_text(f"#!{sys.executable}\nimport sys\nprint({text!r})\nprint({err!r}, file=sys.stderr)\nsys.exit(1)\n")
        program.chmod(0o755)

    return make


def audit(project: Path, *words: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "audit/ask.py", *words], cwd=project, capture_output=True, text=True, timeout=100, check=False,
        env={"PATH": f"{project / 'bin'}:{os.environ['PATH']}", **environ},
    )  # fmt: skip
    return done.returncode, done.stderr


PIP_AUDIT, NPM = ".venv-audit/bin/pip-audit", "bin/npm"
SOUND = {"dependencies": []}
NPM_SOUND = {"auditReportVersion": 2, "vulnerabilities": {}}


def test_nothing_reported_passes(project: Path, saying: Saying) -> None:
    saying(PIP_AUDIT, SOUND)
    saying(NPM, NPM_SOUND)
    code, said = audit(project, "--must")

    assert 0 == code, said
    assert "0 that count, 4 of 4 locks asked about" in said


def test_a_reported_hole_fails_and_is_named(project: Path, saying: Saying) -> None:
    saying(PIP_AUDIT, REPORT)
    saying(NPM, NPM_SOUND)
    code, said = audit(project)

    assert 1 == code
    assert "REPORTED: requirements.lock: thing 1.0" in said


def test_without_network_it_says_so_for_each_lock_and_goes_on(project: Path, saying: Saying) -> None:
    saying(PIP_AUDIT, "", "no route to host")
    saying(NPM, {"message": "request failed, reason: no route to host"})
    code, said = audit(project)
    must, _ = audit(project, "--must")

    assert (0, 1) == (code, must)
    assert 4 == said.count("NOT ASKED")
    assert 4 == said.count("no route to host")
    assert "0 of 4 locks asked about" in said


def test_it_says_that_it_was_switched_off(project: Path) -> None:
    code, said = audit(project, AUDIT="off")

    assert (0, True) == (code, "NOT ASKED" in said)


def test_no_lock_holds_an_address() -> None:
    locks = [path for path in tracked_files() if path.name == "package-lock.json" or path.suffix == ".lock"]

    assert len(locks) >= 5
    assert [path.name for path in locks if "resolved" in path.read_text() or "index-url" in path.read_text()] == []
    assert [path.name for path in locks if "integrity" not in path.read_text() and "--hash=" not in path.read_text()] == []
