"""The TypeScript client is of this version of the API, and brings nothing along."""

import json
from pathlib import Path

from clients.typescript.generate import OUT, generated

CLIENT = Path(OUT).parent.parent


def test_its_types_are_those_of_the_api() -> None:
    assert generated() == OUT.read_text(), "write them anew: PYTHONPATH=src python clients/typescript/generate.py"


def test_it_needs_nothing_at_run_time() -> None:
    package = json.loads((CLIENT / "package.json").read_text())

    assert "dependencies" not in package
    assert {"typescript", "@types/node", "playwright-core"} == set(package["devDependencies"])


def test_its_lock_holds_hashes_and_no_address() -> None:
    packages = json.loads((CLIENT / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name}

    assert [name for name, one in locked.items() if "integrity" not in one or "resolved" in one] == []
