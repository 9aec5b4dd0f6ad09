"""What a person sees."""

import os

import pytest

from marketd.errors import DeliveryError
from marketd.sinks.console import Console, ConsoleConfig, line_of
from tests.samples import book, gap, one_of_each, status, trade, trades


async def test_one_event_in_so_many_is_printed_and_what_happens_to_a_line_always(capfd: pytest.CaptureFixture[str]) -> None:
    async with Console(ConsoleConfig(every=10)) as sink:
        await sink.write(trades(1, 25))
        await sink.write([gap(1, 2), status(1)])
    lines = capfd.readouterr().out.splitlines()

    assert 3 + 2 == len(lines)
    assert "22:13:20.001 binance    BTCUSDT    trade buy  0.00150000 @ 37123.45000000" == lines[0]
    assert lines[3].endswith("gap   trade found 1..2: ids jumped")
    assert lines[4].endswith("binance               venue connected")


async def test_a_state_is_printed_when_it_changes(capfd: pytest.CaptureFixture[str]) -> None:
    async with Console(ConsoleConfig(every=10)) as sink:
        await sink.write([status(1, state="disconnected"), status(2, state="disconnected"), status(3)])
        await sink.write([status(4), status(5, state="disconnected")])
    lines = capfd.readouterr().out.splitlines()

    assert [line.split()[-1] for line in lines] == ["disconnected", "connected", "disconnected"]


def test_every_type_has_a_line_of_its_own() -> None:
    lines = [line_of(event) for event in one_of_each(1)]

    assert len(lines) == len(set(lines))
    assert line_of(book(1, bids=[], asks=[])).endswith("book  - | - (0+0 levels)")
    assert line_of(trade(1, side=None, repaired=True)).endswith("trade ?    0.00150000 @ 37123.45000000 (repaired)")


async def test_a_closed_terminal_is_a_delivery_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as gone:
        monkeypatch.setattr("sys.stdout", gone)
        async with Console(ConsoleConfig(every=1)) as sink:
            with pytest.raises(DeliveryError, match="console: cannot write to standard output: Broken pipe"):
                await sink.write([trade(1)])
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # so that closing has somewhere to write the rest
