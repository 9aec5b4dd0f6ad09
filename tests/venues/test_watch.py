"""Silence judged: first a question by REST, then the subscription anew, and only then the connection."""

from typing import Any

import pytest

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.net.governor import Priority
from marketd.venues.binance import Binance
from marketd.venues.bybit import Bybit
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Notice
from marketd.venues.venue import Venue, Wanted
from marketd.venues.watch import Watch

BTC, ETH = Wanted("trade", "BTCUSDT"), Wanted("trade", "ETHUSDT")


class Line:
    """A connection as the watch sees it."""

    def __init__(self) -> None:
        self.number = 1
        self.mute = False
        self.asked_again: list[list[Wanted]] = []
        self.closed: list[str] = []

    def is_mute(self, now_ns: int) -> bool:
        return self.mute

    def again(self, wanted: list[Wanted]) -> None:
        self.asked_again.append(wanted)

    def close(self, why: str) -> None:
        self.closed.append(why)


class Watched:
    """Streams on a clock, and what the watch does about them."""

    def __init__(self, *wanted: Wanted, venue: Venue | None = None) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.asked: list[Repair] = []
        self.line = Line()
        self.connection, self.wanted = self.line, dict.fromkeys(wanted)
        self.intake = Intake(venue or Binance({}), self.events.extend, self, Metrics())
        self.intake.instruments = Instruments([Instrument("binance", one.symbol, one.symbol, one.symbol, "") for one in wanted])
        self.intake.want(list(wanted), self.clock.now_ns())
        self.intake.acked(list(wanted), self.clock.now_ns())
        stand_in: Any = self
        self.watch = Watch(self.intake.venue, self.intake, stand_in, [stand_in], self.clock, 60.0)
        self._number = 0

    def repair(self, repair: Repair) -> None: ...

    def notice(self, connection: int, notice: Notice) -> None: ...

    def add(self, repair: Repair, priority: Priority) -> None:
        self.asked.append(repair)

    async def live(self, seconds: int, *speaking: Wanted) -> None:
        """So many seconds in which each of these trades once."""
        for _ in range(seconds):
            await self.clock.advance(1.0)
            now = self.clock.now_ns()
            self._number += 1
            trades = [Trade("binance", one.symbol, now, now, "1", "1", "buy", str(self._number)) for one in speaking]
            if trades:
                self.intake.take(trades, 1, b"", now)
            self.watch.look(now)

    def state(self, wanted: Wanted) -> str:
        return self.intake.streams[wanted].state


async def test_a_stream_at_its_pace_is_live_and_nobody_is_asked() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)

    assert (watched.state(BTC), watched.state(ETH)) == ("live", "live")
    assert watched.asked == []


async def test_a_silent_stream_is_asked_about_and_nothing_is_cut_for_it() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    await watched.live(900, ETH)
    questions = {one.symbol for one in watched.asked}

    assert watched.state(BTC) == "quiet"
    assert questions == {"BTCUSDT"}
    assert all(one.is_probe for one in watched.asked)
    assert (watched.line.closed, watched.line.asked_again) == ([], [])


async def test_questions_about_a_long_silence_grow_rarer() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    await watched.live(3600, ETH)

    assert 10 <= len(watched.asked) <= 25


async def test_a_quiet_stream_that_speaks_again_is_live() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    await watched.live(60, ETH)
    assert watched.state(BTC) == "quiet"
    await watched.live(2, BTC, ETH)

    assert watched.state(BTC) == "live"


async def test_news_make_a_quiet_stream_stale_asked_for_anew_and_at_last_end_its_connection() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    await watched.live(60, ETH)
    watched.watch.news("BTCUSDT")
    assert watched.state(BTC) == "stale"
    assert watched.line.asked_again == [[BTC]]
    assert [one.symbol for one in watched.events if isinstance(one, Status) and one.state == "stale"] == ["BTCUSDT"]
    assert watched.line.closed == []
    watched.watch.news("BTCUSDT")

    assert watched.line.closed == ["BTCUSDT stayed mute though the venue has news"]


async def test_what_helped_once_starts_from_the_beginning_the_next_time() -> None:
    watched = Watched(BTC, ETH)
    for _ in range(3):
        await watched.live(300, BTC, ETH)
        await watched.live(60, ETH)
        watched.watch.news("BTCUSDT")

    assert len(watched.line.asked_again) == 3
    assert watched.line.closed == []


@pytest.mark.parametrize("symbol", ["BTCUSDT", "NOBODYUSDT"])
async def test_news_of_a_live_stream_or_of_none_change_nothing(symbol: str) -> None:
    watched = Watched(BTC)
    await watched.live(300, BTC)
    watched.watch.news(symbol)

    assert watched.state(BTC) == "live"
    assert (watched.line.closed, watched.line.asked_again) == ([], [])


async def test_a_refused_stream_is_left_alone() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    watched.intake.refused([BTC], "no", watched.clock.now_ns())
    await watched.live(600, ETH)

    assert watched.state(BTC) == "refused"
    assert watched.asked == []


async def test_a_mute_connection_is_asked_about_before_it_is_cut() -> None:
    watched = Watched(BTC, ETH)
    await watched.live(300, BTC, ETH)
    watched.line.mute = True
    await watched.live(1)
    assert {one.symbol for one in watched.asked} == {"BTCUSDT", "ETHUSDT"}
    assert watched.line.closed == []
    watched.watch.news("ETHUSDT")

    assert watched.line.closed == ["the connection is mute though the venue has news"]


async def test_a_comparison_with_rest_begins_where_the_one_before_ended() -> None:
    watched = Watched(BTC, venue=Bybit({}))
    await watched.live(61, BTC)
    ended = watched.intake.continuity.track("BTCUSDT").compared_ts = watched.clock.now_ns() - 2 * 10**9
    await watched.live(60, BTC)
    first, second = watched.asked

    assert ended == second.span.from_ts
    assert first.span.from_ts is not None
    assert first.span.from_ts < ended
