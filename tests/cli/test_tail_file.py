"""The end of a file, exactly, and what is added to it, through every rotation."""

import json
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.cli.tail_file import last_lines
from tests.cli.conftest import Ask, Program, Start


@given(
    lines=st.lists(st.binary(max_size=200).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b""))),
    count=st.integers(1, 50),
)
def test_the_last_lines_are_the_last_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], count: int) -> None:
    path = tmp_path_factory.mktemp("tail") / "x.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))

    assert last_lines(path, count) == lines[-count:]


def test_large_files_are_read_from_their_end(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(100_000)) + b"half a line")

    assert last_lines(path, 2) == [b"0099998", b"0099999"]
    assert len(last_lines(path, 50_000)) == 50_000


def test_a_file_of_that_name_elsewhere_is_pointed_at(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "marketd-data").mkdir()
    (tmp_path / "marketd-data" / "events.jsonl").touch()
    said = ask("tail", "events.jsonl")

    assert said.code == 1
    assert "there is one at marketd-data/events.jsonl" in said.err


def test_ten_by_default(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("".join(f"{number}\n" for number in range(25)))
    said = ask("tail", "x.jsonl")

    assert said.out.splitlines() == [str(number) for number in range(15, 25)]
    assert ask("tail", "x.jsonl", "--count", "1").out == "24\n"


def test_a_damaged_line_is_skipped_and_said_with_file_and_number(ask: Ask, tmp_path: Path) -> None:
    lines = [b'{"n":%d}' % number for number in range(1, 31)]
    lines[21] = b'{"n":2'
    lines[27] = b'{"n":"\xff\xfe"}'
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines) + b"\n" + b'{"half a li')
    said = ask("tail", "x.jsonl")

    assert said.out.splitlines() == [f'{{"n":{number}}}' for number in range(21, 31) if number not in (22, 28)]
    first, second, count = said.err.splitlines()
    assert first.startswith("x.jsonl:22: damaged, skipped: ")
    assert second.startswith("x.jsonl:28: damaged, skipped: ")
    assert count == "x.jsonl: 2 damaged lines skipped"
    assert said.code == 0


def test_a_damaged_line_that_is_added_is_skipped_and_said_while_following(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('"old"\n')
    program = start("tail", "events.jsonl", "--count", "0")
    _until_heard(program, path)
    before = len(path.read_bytes().splitlines())
    with path.open("ab") as file:
        file.write(b'{"n":\n"after"\n')
    program.wait_for(f"events.jsonl:{before + 1}: damaged, skipped")

    assert program.end() == 0
    assert program.said["out"][-1] == '"after"'
    assert program.said["err"][-1] == "events.jsonl: 1 damaged line skipped"


def test_following_goes_on_through_a_rotation(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('"old"\n')
    program = start("tail", "events.jsonl", "--count", "0")
    with path.open("a") as file:
        for number in range(1, 4):  # the program may still be starting: said until heard
            file.write(json.dumps({"n": number}) + "\n")
            file.flush()
    _until_heard(program, path)
    path.rename(tmp_path / "events.00000001.jsonl")
    with (tmp_path / "events.00000001.jsonl").open("a") as file:
        file.write('"last of the old"\n')
    path.write_text('"first of the new"\n')
    program.wait_for("last of the old")
    program.wait_for("first of the new")

    assert program.end() == 0
    assert program.said["err"] == []


def _until_heard(program: Program, path: Path) -> None:
    """Add lines until one arrives: only then does the program follow."""
    pause = Event()
    for number in range(400):
        with path.open("a") as file:
            file.write(f'"beat {number}"\n')
        pause.wait(0.1)
        if any("beat" in line for line in program.said["out"]):
            return
    raise AssertionError(program.said)
