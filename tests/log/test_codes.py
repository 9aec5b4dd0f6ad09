"""Every warning carries a code, and every code is explained, in the code and in docs/operations.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from marketd.log import CODES
from marketd.log.codes import TOPICS
from marketd.log.events import BY_EVENT, code_of

ROOT = Path(__file__).resolve().parents[2]
USED = re.compile(r"""(?:\bcode=|\["code"\] = )["']([a-z0-9-]+)["']""")


def test_every_code_in_use_is_explained() -> None:
    used = {code for path in (ROOT / "src").rglob("*.py") for code in USED.findall(path.read_text())}

    assert used <= set(CODES), f"add to src/marketd/log/codes/: {sorted(used - set(CODES))}"


def test_every_code_explained_is_in_use() -> None:
    files = [path.read_text() for path in (ROOT / "src").rglob("*.py") if "log" not in path.parts]
    said = {event for event in BY_EVENT if any(f'{dot}{event}"' in text for text in files for dot in ('"', "."))}
    used = {BY_EVENT[event] for event in said} | {code for text in files for code in USED.findall(text)}

    assert (sorted(set(BY_EVENT) - said), sorted(set(CODES) - used)) == ([], [])


def test_no_code_is_explained_twice() -> None:
    assert sum(len(topic.CODES) for topic in TOPICS) == len(CODES)


def test_every_code_is_in_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()

    assert [code for code in CODES if f"`{code}`" not in page] == []


def warnings_of(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"warning", "error"}:
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "log":
                yield node


def event_of(call: ast.Call) -> str | None:
    """The event's name, the last word of a composed one, None for one that is handed in."""
    first = call.args[0]
    if isinstance(first, ast.JoinedStr):
        last = first.values[-1]
        return str(last.value) if isinstance(last, ast.Constant) else None
    return str(first.value) if isinstance(first, ast.Constant) else None


def test_every_warning_and_error_has_a_code() -> None:
    without = [
        f"{path.relative_to(ROOT)}:{call.lineno} {event}"
        for path in (ROOT / "src").rglob("*.py")
        for call in warnings_of(path)
        if not any(keyword.arg == "code" for keyword in call.keywords)
        if (event := event_of(call)) is not None and code_of(event) is None
    ]

    assert without == [], "give it a code=, or add its event to src/marketd/log/events.py"
