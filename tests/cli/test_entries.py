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
