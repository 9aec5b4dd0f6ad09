"""Events on disk, in order, until they are delivered."""

import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from marketd.model.wire import encode_lines
from marketd.sinks.spill import FileSpill, end_of_last_line
from tests.samples import one_of_each, trade, trades


def drained(spill: FileSpill, limit: int = 7) -> list[object]:
    events: list[object] = []
    while batch := spill.read(limit):
        events.extend(batch)
        spill.commit()
    return events


def test_what_goes_in_comes_out_in_order_of_every_type(tmp_path: Path) -> None:
    spill = FileSpill(tmp_path, "one")
    events = [event for number in range(20) for event in one_of_each(number)]

    assert 0 == spill.append(events)
    assert len(events) == len(spill)
    assert events == drained(spill)
    assert (0, []) == (len(spill), list(tmp_path.iterdir()))


def test_what_was_read_but_not_committed_is_read_again_after_a_restart(tmp_path: Path) -> None:
    spill = FileSpill(tmp_path, "one", segment_bytes=500)
    for number in range(1, 31):
        spill.append([trade(number)])
    taken = spill.read(10)
    spill.commit()
    spill.read(10)
    again = FileSpill(tmp_path, "one", segment_bytes=500)

    assert 30 - len(taken) == len(again)
    assert trades(1, 30) == [*taken, *drained(again)]


def test_a_torn_last_line_is_cut(tmp_path: Path) -> None:
    FileSpill(tmp_path, "one").append(trades(1, 3))
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"type":"trade","prov')
    spill = FileSpill(tmp_path, "one")
    spill.append([trade(4)])

    assert trades(1, 4) == drained(spill)


def test_a_full_spill_says_how_many_it_lost(tmp_path: Path) -> None:
    spill = FileSpill(tmp_path, "one", limit_bytes=len(encode_lines(trades(1, 5))) + 10)

    assert 3 == spill.append(trades(1, 8))
    assert 1 == spill.append([trade(9)])
    assert trades(1, 5) == drained(spill)
    assert 0 == spill.append([trade(10)])


def test_what_is_put_back_comes_before_the_rest(tmp_path: Path) -> None:
    spill = FileSpill(tmp_path, "one")
    spill.append(trades(5, 12))
    spill.read(2)
    spill.commit()
    spill.read(2)  # taken, never delivered

    assert 0 == spill.put_back(trades(1, 3))
    assert 9 == len(spill)

    spill.close()
    again = FileSpill(tmp_path, "one")
    again.append([trade(13)])

    assert [*trades(1, 3), *trades(7, 13)] == drained(again, 2)


def test_a_damaged_line_costs_itself_only(tmp_path: Path) -> None:
    FileSpill(tmp_path, "one").append(trades(1, 3))
    path = next(tmp_path.glob("*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00\x00\x00\n" + lines[2])

    assert [trade(1), trade(3)] == drained(FileSpill(tmp_path, "one"))


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_calls_and_restarts_keeps_every_event_once_and_in_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    spill, number = FileSpill(tmp_path, "one", segment_bytes=800), 0
    taken: list[object] = []
    for _ in range(200):
        match chance.randrange(4):
            case 0:
                count = chance.randrange(1, 9)
                spill.append(trades(number + 1, number + count))
                number += count
            case 1:
                taken.extend(spill.read(chance.randrange(1, 9)))
                spill.commit()
            case 2:
                spill.close()
                spill = FileSpill(tmp_path, "one", segment_bytes=800)
            case 3:
                spill.read(chance.randrange(1, 9))
                spill.put_back([])

    assert trades(1, number) == [*taken, *drained(spill)]


def test_a_full_disk_keeps_whole_lines_and_counts_the_rest(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from marketd.sinks.spill import FileSpill; from tests.samples import trades;"
        "print(FileSpill(Path(sys.argv[1]), 'one').append(trades(1, 100)))"
    )
    limit = len(encode_lines(trades(1, 40))) + 20
    lost = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )  # fmt: skip

    assert 60 == int(lost.stdout.split()[-1])
    assert trades(1, 40) == drained(FileSpill(tmp_path, "one"))


def test_the_end_of_the_last_line_is_found_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, expected in ((b"", 0), (b"x" * 10, 0), (b"a\nb", 2), (b"a\n" + b"x" * 3_000_000, 2), (b"a\nb\n", 4)):
        path.write_bytes(content)
        with path.open("rb") as file:
            assert expected == end_of_last_line(file.fileno(), len(content))
