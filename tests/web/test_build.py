"""The dashboard is built with the Node there is; without one, or without its packages, everything else goes on."""

import json
import sys
from pathlib import Path

import pytest

from web import build

WEB = Path(build.__file__).parent


def program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("version", "taken"), [("v20.19.0", True), ("v24.1.0", True), ("v18.20.4", False), ("nonsense", False)])
def test_a_node_that_is_too_old_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool) -> None:
    program(tmp_path / "node", f"echo {version}")
    program(tmp_path / "npm", "true")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert taken is (build.node_of_machine() is not None)


def test_no_node_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.node_of_machine() is None


def test_packages_that_do_not_come_are_said_and_nothing_else_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path / "npm", "echo 'npm warn old' >&2; echo 'npm error ENOTFOUND' >&2; exit 1")
    monkeypatch.setattr(build, "node_of_machine", lambda: ([str(tmp_path / "npm")], {"PATH": "/usr/bin:/bin"}))
    code = build.main()
    said = capsys.readouterr().err

    assert code == 0
    assert "the dashboard is not built: npm said:\n  npm error ENOTFOUND" in said
    assert "npm warn" not in said
    assert "plain status page at /" in said


def test_a_build_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "WITHIN_S", 0.05)

    with pytest.raises(build.NoBuild, match="took longer"):
        build.run([sys.executable, "-c", "import time; time.sleep(60)"], {})


def test_the_lock_holds_hashes_and_no_address() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name}

    assert len(locked) > 10
    assert [name for name, one in locked.items() if "integrity" not in one or "resolved" in one] == []


def test_the_page_asks_for_nothing_from_elsewhere_and_has_no_script_of_its_own() -> None:
    page = (WEB / "index.html").read_text()

    assert "http" not in page
    assert page.count("<script") == page.count('<script type="module" src="/src/') == 1
    assert "style=" not in page
