"""A source of its own kind, kept streaming: connect, subscribe, stream, and again after every end."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from marketd.clock import ManualClock
from marketd.errors import Disconnected
from marketd.metrics import Metrics
from marketd.model.events import Channel, Event, Status, Trade
from marketd.venues.provider import MarketDataProvider, run_provider
from tests.samples import one_of_each, trade


class Scripted(MarketDataProvider):
    """Streams one list of events after each connection; an error in place of an event is raised there."""

    name = "binance"

    def __init__(self, *streams: list[Event | Exception], refusals: int = 0) -> None:
        self.calls: list[str] = []
        self._streams, self._refusals = list(streams), refusals

    async def connect(self) -> None:
        self.calls.append("connect")
        if self._refusals:
            self._refusals -= 1
            raise Disconnected("nobody there")

    async def subscribe(self, symbols: Sequence[str], channels: Sequence[Channel]) -> None:
        self.calls.append(f"subscribe {','.join(symbols)} {','.join(channels)}")

    async def stream(self) -> AsyncIterator[Event]:
        if not self._streams:
            await asyncio.Event().wait()
        for event in self._streams.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event

    async def close(self) -> None:
        self.calls.append("close")


class Run:
    """A provider that runs on a clock, and what it published."""

    def __init__(self, provider: MarketDataProvider, clock: ManualClock) -> None:
        self.published: list[Event] = []
        self.metrics = Metrics()
        self.task = asyncio.ensure_future(
            run_provider(provider, ["BTCUSDT"], ["trade"], self.published.extend, clock, self.metrics)
        )

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(one.state, one.reason) for one in self.published if isinstance(one, Status) and one.symbol == "__system__"]

    @property
    def trades(self) -> list[str]:
        return [one.trade_id for one in self.published if isinstance(one, Trade)]


async def test_every_kind_of_event_passes(clock: ManualClock) -> None:
    run = Run(Scripted(list(one_of_each())), clock)
    await clock.advance(0)
    await run.stop()

    assert run.published[1:-1] == one_of_each()


async def test_the_end_of_a_stream_means_connect_again_and_what_repeats_is_dropped(clock: ManualClock) -> None:
    provider = Scripted([trade(1), trade(2)], [trade(2), trade(3)])
    run = Run(provider, clock)
    await clock.advance(120)
    await run.stop()

    assert run.trades == ["1", "2", "3"]
    assert [state for state, _ in run.states] == ["connected", "disconnected"] * 2 + ["connected"]
    assert provider.calls[:3] == ["connect", "subscribe BTCUSDT trade", "close"]
    assert run.metrics.duplicates.labels("binance", "trade")._value.get() == 1


async def test_what_failed_is_closed_before_the_wait_not_after(clock: ManualClock) -> None:
    provider = Scripted([Disconnected("the far end went")])
    run = Run(provider, clock)
    await clock.advance(0)

    assert provider.calls == ["connect", "subscribe BTCUSDT trade", "close"]
    assert run.states[-1] == ("disconnected", "the far end went")
    await run.stop()


async def test_a_provider_that_cannot_connect_is_asked_again_ever_more_rarely(clock: ManualClock) -> None:
    provider = Scripted(refusals=1000)
    run = Run(provider, clock)
    await clock.advance(600)
    await run.stop()

    assert 14 <= provider.calls.count("connect") <= 30
    assert set(run.states) == {("disconnected", "nobody there")}


async def test_an_impossible_value_is_kept_aside_and_the_rest_goes_on(clock: ManualClock) -> None:
    run = Run(Scripted([trade(1), trade(2, price="-5"), trade(3, size="0"), trade(4)]), clock)
    await clock.advance(0)
    await run.stop()

    assert "1" in run.trades
    assert "4" in run.trades
    assert "2" not in run.trades


@pytest.mark.parametrize("error", [OSError("reset by peer"), ValueError("a surprise in a library"), KeyError("x")])
async def test_a_librarys_own_error_ends_its_stream_and_nothing_else(error: Exception, clock: ManualClock) -> None:
    run = Run(Scripted([trade(1), error], [trade(2)]), clock)
    await clock.advance(120)

    assert not run.task.done()
    assert run.trades == ["1", "2"]
    assert type(error).__name__ in run.states[1][1]
    await run.stop()


async def test_stopping_closes_the_provider(clock: ManualClock) -> None:
    provider = Scripted()
    run = Run(provider, clock)
    await clock.advance(0)
    await run.stop()

    assert provider.calls[-1] == "close"
    assert run.task.cancelled()
