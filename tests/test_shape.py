"""The code about the code: what a reviewer would otherwise have to look for in every change."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketd.venues import VENUES

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "marketd"
FILES = sorted(SOURCE.rglob("*.py"))

# The files that may do what the others must not; the client is a library without our clock.
TIME_AND_SLEEP = {"clock.py", "client/waiting.py"}
TASKS = {"clock.py", "rooms.py"}

WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.sleep",
    "asyncio.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
LOOSE_TASKS = {"asyncio.create_task", "asyncio.ensure_future"}

LINES_MAX = 400
LINES_MAX_VENUE = 500

TOPICS = ("cache", "delivery", "features", "feeds", "history", "program")

# Source files without a test file of their own, each with the reason. Exact: whoever adds the test takes the line out.
UNTESTED: dict[str, str] = {
    "history/job.py": "shapes only",
    "log/code.py": "shapes only",
    **{f"log/codes/{topic}.py": "words only, asked in test_codes.py" for topic in TOPICS},
    "stores/archive/rows.py": "shapes only",
    "stores/archive/migrations/versions/r0001.py": "asked in test_upgrade.py and test_takeover.py",
    "stores/archive/migrations/versions/r0002.py": "asked in test_upgrade.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def dotted(node: ast.expr) -> str:
    """`asyncio.create_task` for that expression, "" for one that is not a plain dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def uses_of(forbidden: set[str], path: Path) -> Iterator[str]:
    """Each mention of a forbidden name, as `file:line name`; a yield to the loop, `asyncio.sleep(0)`, is none."""
    tree = tree_of(path)
    yields = {
        call.func
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    }
    bare = {  # `from time import time` is `time.time` all the same
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in {"time", "asyncio"}
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and node not in yields:
            name = dotted(node)
            if bare.get(name, name) in forbidden:
                yield f"{name_of(path)}:{node.lineno} {name}"


def docstrings_of(tree: ast.Module) -> set[ast.expr]:
    return {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def tracked_files() -> list[Path]:
    """Every file of the repository; in a source archive without git, every file that git would have had."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not any(part.startswith(".v") for part in path.parts)]


def test_imports_go_downward() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_source_file_has_its_test() -> None:
    without = {
        name_of(path)
        for path in FILES
        if not path.name.startswith("__")
        and not (ROOT / "tests" / path.relative_to(SOURCE).with_name(f"test_{path.name}")).exists()
    }

    assert without == set(UNTESTED)


def test_only_the_clock_reads_the_time_or_sleeps() -> None:
    found = [use for path in FILES if name_of(path) not in TIME_AND_SLEEP for use in uses_of(WALL_CLOCK, path)]

    assert found == []


def test_tasks_belong_to_a_group() -> None:
    found = [use for path in FILES if name_of(path) not in TASKS for use in uses_of(LOOSE_TASKS, path)]
    found += [
        f"{name_of(path)}:{node.lineno} get_running_loop().create_task"
        for path in FILES
        if name_of(path) not in TASKS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == "create_task" and isinstance(node.value, ast.Call)
    ]

    assert found == []


def test_only_the_command_line_and_the_console_sink_print() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        if not name_of(path).startswith("cli/") and name_of(path) != "sinks/console.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and dotted(node.func) == "print"
    ]

    assert found == []


def test_a_venue_is_named_in_its_own_file_and_in_the_list_only() -> None:
    found = []
    for path in FILES:
        if name_of(path) == "venues/__init__.py" or path.parent.name in {"sim", "profiles"}:
            continue
        tree = tree_of(path)
        own = {path.stem} if path.parent.name == "venues" else set()
        prose = docstrings_of(tree)
        found += [
            f"{name_of(path)}:{node.lineno} {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node not in prose and str(node.value).lower() in VENUES.keys() - own
        ]

    assert found == []


def test_no_file_is_too_long_to_read() -> None:
    found = [
        f"{name_of(path)}: {lines} lines"
        for path in FILES
        if (lines := len(path.read_text().splitlines()))
        > (LINES_MAX_VENUE if path.parent.name in {"venues", "sim"} else LINES_MAX)
    ]

    assert found == []


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    found = [name_of(path) for path in FILES if (tree := tree_of(path)).body and not ast.get_docstring(tree)]

    assert found == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ""}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]

    assert found == []


def test_no_file_names_a_package_registry() -> None:
    # Put together here, so that this file does not hold what it looks for.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs", "regi" + "stry.yarn", "proxy." + "golang"]
    options = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host"]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked_files()
        for word in (hosts + options if path.suffix == ".lock" else hosts)
        if word.encode() in path.read_bytes()
    ]

    assert found == []


@pytest.mark.parametrize(("lock", "extras"), [("requirements.lock", []), ("requirements-dev.lock", ["dev"])])
def test_lock_holds_every_dependency_by_hash(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    names = {normalised(re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0]) for line in wanted}
    entries = re.split(r"\n(?=[a-z])", (ROOT / lock).read_text())
    pinned = {normalised(entry.split("==")[0]) for entry in entries}

    assert names <= pinned, f"{sorted(names - pinned)} not in {lock}: make lock"
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_locks_are_as_their_tool_writes_them(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z])", (ROOT / lock).read_text())
    hashes = {entry.split("==")[0]: re.findall(r"--hash=(\S+)", entry) for entry in entries}

    assert [name for name, found in hashes.items() if found != sorted(found)] == [], f"{lock} was edited by hand: make lock"


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
