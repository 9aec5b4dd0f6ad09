"""What a log holds already."""

from pathlib import Path

import pytest
import structlog
import zstandard

from marketd.model.wire import encode_lines
from marketd.sinks.tail import Tail
from tests.samples import T0, one_of_each, trade, trades

LATER = T0 + 10**15


def test_only_the_end_of_the_files_is_read_but_whole_lines_of_it(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(encode_lines(trades(1, 100)))
    second.write_bytes(encode_lines(trades(101, 110)))
    tail = Tail()
    tail.read([first, second], LATER, limit_bytes=len(encode_lines(trades(91, 110))) - 5)

    assert "110" == tail.marks["binance", "BTCUSDT"].trade_id
    assert [*trades(90, 91), *trades(111, 112)] == list(tail.fresh(trades(90, 112)))


def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl.zst"
    path.write_bytes(zstandard.compress(encode_lines(trades(1, 50))))
    tail = Tail()
    tail.read([path], LATER, limit_bytes=len(encode_lines(trades(41, 50))) + 10)

    assert trades(1, 40) == list(tail.fresh(trades(1, 50)))


def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(encode_lines([trade(1)]) + b'{"type":"other"}\nnothing\n' + encode_lines([trade(2)]))
    tail = Tail()
    tail.read([path], LATER)

    assert [trade(3)] == list(tail.fresh(trades(1, 3)))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("limit", [None, 40])
def test_damaged_lines_are_said_with_file_and_number_and_counted(tmp_path: Path, compressed: bool, limit: int | None) -> None:
    lines = encode_lines(trades(1, 100)).splitlines(keepends=True)
    lines[59] = lines[59][:30] + b"\n"
    lines[79] = b"\xff\xfe" + lines[79][2:]
    path = tmp_path / ("x.jsonl.zst" if compressed else "x.jsonl")
    path.write_bytes(zstandard.compress(b"".join(lines)) if compressed else b"".join(lines))
    tail = Tail()
    with structlog.testing.capture_logs() as said:
        tail.read([path], LATER, limit_bytes=10**9 if limit is None else sum(map(len, lines[-limit - 1 :])))

    assert [60, 80] if limit is None else [80] == [one["line"] for one in said]
    assert {(str(path), "warning", "file-mended")} == {(one["path"], one["log_level"], one["code"]) for one in said}
    assert {"skipped; it stays in the file"} == {one["now"] for one in said}
    assert len(said) == tail.damaged
    assert "100" == tail.marks["binance", "BTCUSDT"].trade_id


def test_of_many_damaged_lines_the_first_are_said_and_all_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{\n" * 50 + encode_lines(trades(1, 3)))
    tail = Tail()
    with structlog.testing.capture_logs() as said:
        tail.read([path], LATER)

    assert [1, 2, 3, 4, 5] == [one["line"] for one in said if one["event"] == "jsonl.line_damaged"]
    assert [50] == [one["count"] for one in said if one["event"] == "jsonl.lines_damaged"]
    assert 50 == tail.damaged


def test_events_of_every_type_at_the_end_are_known_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(encode_lines(one_of_each(1)))
    tail = Tail()
    tail.read([path], LATER)

    assert one_of_each(2) == list(tail.fresh([*one_of_each(1), *one_of_each(2)]))


def test_trades_that_an_earlier_run_received_are_remembered_when_written() -> None:
    tail = Tail()
    tail.read([], LATER)
    tail.wrote(trades(1, 5))
    tail.wrote(trades(6, 7, ts_recv=LATER))

    assert trades(6, 8, ts_recv=LATER) == list(tail.fresh(trades(1, 8, ts_recv=LATER)))
