"""What a log holds already."""

from pathlib import Path

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
