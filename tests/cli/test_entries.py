"""One JSON line for programs, one plain line for people."""

import io
import json
from typing import Any

import pytest

from marketd.cli.entries import Output, printable, time_of_id

TRADE = {
    "exchange": "binance",
    "pair": "BTCUSDT",
    "price": "37000.10",
    "qty": "0.50",
    "ts": "2024-11-14T17:30:00.123456",
    "side": "buy",
    "trade_id": "7",
    "raw_json": '{"t":7}',
}


class Screen(io.TextIOWrapper):
    """A stream that says it is a terminal, or that it is none."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    @property
    def text(self) -> str:
        buffer: Any = self.buffer
        return bytes(buffer.getvalue()).decode()


def said(monkeypatch: pytest.MonkeyPatch, data: bytes, is_terminal: bool) -> str:
    screen = Screen(is_terminal)
    monkeypatch.setattr("sys.stdout", screen)
    out = Output()
    out.message("md.events.trade.BTCUSDT", data)
    out.flush()
    return screen.text


EVENT = (
    b'{"type":"trade","provider":"binance","symbol":"BTCUSDT","ts_event":1731605400123456000,"ts_recv":1731605400200000000,'
    b'"price":"37000.10","size":"0.50","side":"buy","trade_id":"7","repaired":false}'
)


def test_a_program_reads_a_message_as_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EVENT.decode() + "\n" == said(monkeypatch, EVENT, is_terminal=False)


def test_a_message_of_several_lines_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert '{"a":[1,"2.50"]}\n' == said(monkeypatch, b'{\n  "a": [1, "2.50"]\n}', is_terminal=False)


@pytest.mark.parametrize(
    ("data", "value"), [(b"hello", "hello"), (b"\xff", "\\xff"), (b"", ""), (b"7", 7), (b'"x"', "x"), (b"[1]", [1])]
)
def test_what_is_no_json_object_stands_beside_its_subject(monkeypatch: pytest.MonkeyPatch, data: bytes, value: Any) -> None:
    line = said(monkeypatch, data, is_terminal=False)

    assert {"subject": "md.events.trade.BTCUSDT", "data": value} == json.loads(line)


def test_a_person_reads_an_event_as_the_console_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    line = said(monkeypatch, EVENT, is_terminal=True)

    assert "17:30:00.200 binance    BTCUSDT    trade buy  0.50 @ 37000.10\n" == line


@pytest.mark.parametrize("data", [b"hello", b'{"kind":"gap"}', b'{"type":"trade"}'])
def test_a_person_reads_any_other_message_with_its_subject(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    assert f"md.events.trade.BTCUSDT  {data.decode()}\n" == said(monkeypatch, data, is_terminal=True)


def shown(monkeypatch: pytest.MonkeyPatch, entry_id: str, fields: dict[str, str], is_terminal: bool) -> str:
    screen = Screen(is_terminal)
    monkeypatch.setattr("sys.stdout", screen)
    out = Output()
    out.redis_entry(entry_id, fields)
    out.flush()
    return screen.text


def test_a_program_reads_every_field_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    line = shown(monkeypatch, "1731605400123-0", TRADE, is_terminal=False)

    assert {"id": "1731605400123-0", **TRADE} == json.loads(line)
    assert line.count("\n") == 1


def test_a_field_called_id_does_not_hide_that_of_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    line = shown(monkeypatch, "5-0", {"id": "theirs"}, is_terminal=False)

    assert {"id": "5-0", "field.id": "theirs"} == json.loads(line)


def test_a_person_reads_a_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    line = shown(monkeypatch, "1731605400123-0", TRADE, is_terminal=True)

    assert "17:30:00.123  binance    BTCUSDT    buy  0.50 @ 37000.10  id 7  at 2024-11-14T17:30:00.123456\n" == line


def test_a_person_reads_other_entries_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "5-0  type=publish  summary=all\n" == shown(
        monkeypatch, "5-0", {"type": "publish", "summary": "all"}, is_terminal=True
    )


def test_what_would_move_the_cursor_is_not_printed() -> None:
    assert "a�[2Jb" == printable("a\x1b[2Jb")


@pytest.mark.parametrize("entry_id", ["5-0", "x", "99999999999999999999-0"])
def test_an_id_that_is_no_time_is_none(entry_id: str) -> None:
    assert time_of_id(entry_id) is None
