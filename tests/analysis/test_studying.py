"""The technical analysis as a service: each closed candle is judged once, and nothing that was published is ever revised."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from marketd.analysis import studying
from marketd.analysis.closed import of_stored
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.studying import Studies
from marketd.analysis.technical import Reading, analyse
from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.cached import analysis_key
from marketd.model.series import CandleSeries
from marketd.model.signals import Signal, decode_signal, encode_signal
from marketd.rooms import room
from marketd.stores.cache import Message, Write
from marketd.stores.cache.memory import MemoryCache
from tests.analysis.candles import HOUR, Made, cached, walk
from tests.analysis.keeping import Keeper

CONFIG = AnalysisConfig()
COIN = "BTCUSDT"
SERIES = CandleSeries("made", COIN, "1h")
WALK = walk(700, 1)


def signals_at(end: int, rows: Sequence[Made] = WALK) -> tuple[Signal, ...]:
    """Of the 500 candles before position `end`, by the pure function over stored rows."""
    return analyse(of_stored(SERIES, rows).window(end), CONFIG).signals


# A position whose window ends with a candle that makes a signal, so that there is something to publish.
SPEAKS = next(end for end in range(520, 690) if signals_at(end))
QUIET = next(end for end in range(SPEAKS + 1, 690) if not signals_at(end))


def visible(end: int, rows: Sequence[Made] = WALK) -> Sequence[Made]:
    """What the cache holds when `end` candles are closed and the next one forms."""
    return rows[end - 500 : end + 1]


class Bench:
    def __init__(self, before: "Bench | None" = None) -> None:
        self.clock, self.metrics = ManualClock(WALK[-1].open_time), Metrics()
        self.cache = MemoryCache(self.clock, self.metrics) if before is None else before.cache
        self.keeper = Keeper(self.cache)
        every_s = {"1h": 120.0}
        self.studies = Studies(self.cache.of("ta-service"), CONFIG, "made", every_s, (), self.clock, self.metrics)
        self.heard: list[Message] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        async with self.cache.of("market-data").listen("market:signal:*") as messages, room("test") as here:
            here.start("studies", self.studies.run())
            await self.clock.advance(0)
            yield self
            await self.clock.advance(0)
            while len(messages):  # type: ignore[arg-type]
                if isinstance(message := await anext(messages), Message):
                    self.heard.append(message)

    async def see(self, *ends: int, rows: Sequence[Made] = WALK) -> None:
        """The cache moves on to these positions."""
        for end in ends:
            await self.keeper.put(COIN, visible(end, rows))
            await self.keeper.announce([COIN])
            await self.clock.advance(0)

    async def kept(self) -> Reading:
        (value,) = await self.cache.of("dashboard").read(analysis_key(COIN, "1h"))
        assert value is not None
        return msgspec.json.decode(value, type=Reading)

    @property
    def signals(self) -> list[Signal]:
        return [decode_signal(message.payload) for message in self.heard]

    def skipped(self, reason: str) -> float:
        labels = {"role": "ta", "reason": reason}
        return self.metrics.registry.get_sample_value("marketd_analysis_skipped_total", labels) or 0.0


async def test_the_bytes_published_are_those_of_the_pure_function_over_stored_rows() -> None:
    async with Bench().running() as bench:
        await bench.see(*range(520, 690))
        kept = await bench.kept()

    expected = [signal for end in range(520, 690) for signal in signals_at(end)]

    assert [encode_signal(one) for one in expected] == [message.payload for message in bench.heard]
    assert {"market:signal:BTCUSDT"} == {message.channel for message in bench.heard}
    assert analyse(of_stored(SERIES, WALK).window(689), CONFIG) == kept == bench.studies.reading(COIN, "1h")


async def test_a_candle_is_judged_once_however_often_the_cache_is_refreshed() -> None:
    async with Bench().running() as bench:
        await bench.see(SPEAKS, SPEAKS, SPEAKS)

    assert list(signals_at(SPEAKS)) == bench.signals


async def test_a_candle_that_the_venue_corrects_is_not_judged_again_and_nothing_is_revised() -> None:
    corrected = list(WALK)
    corrected[SPEAKS - 1] = corrected[SPEAKS - 1]._replace(high="999999.00", close="999998.00")
    async with Bench().running() as bench:
        await bench.see(SPEAKS)
        before = await bench.kept()
        await bench.see(SPEAKS, rows=corrected)
        after = await bench.kept()

    assert list(signals_at(SPEAKS)) == bench.signals
    assert before == after
    assert signals_at(SPEAKS) != signals_at(SPEAKS, corrected)


async def test_after_a_restart_nothing_is_published_twice_and_what_closes_next_is() -> None:
    async with Bench().running() as first:
        await first.see(SPEAKS - 1, SPEAKS)
    second = Bench(first)
    async with second.running():
        await second.see(SPEAKS)
        shown = second.studies.reading(COIN, "1h")
        await second.see(*range(SPEAKS + 1, 690))

    assert first.studies.reading(COIN, "1h") == shown
    assert [one for end in range(SPEAKS + 1, 690) for one in signals_at(end)] == second.signals
    assert 0.0 == second.skipped("missed")


async def test_what_was_said_is_remembered_also_of_an_earlier_run() -> None:
    async with Bench().running() as first:
        await first.see(*range(SPEAKS - 1, 690))
    second = Bench(first)
    async with second.running():
        await second.see(689)

    assert first.signals == list(first.studies.said)
    assert list(signals_at(689)) == list(second.studies.said)


async def test_no_more_than_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studying, "SAID_MAX", 2)
    async with Bench().running() as bench:
        await bench.see(*range(520, 690))

    assert bench.signals[-2:] == list(bench.studies.said)


async def test_candles_that_closed_while_it_was_away_are_counted_and_said_and_not_judged_late() -> None:
    async with Bench().running() as first:
        await first.see(SPEAKS - 1)
    second = Bench(first)
    with capture_logs() as lines:
        async with second.running():
            await second.see(QUIET)

    missed = [line for line in lines if line["event"] == "analysis.missed"]

    assert [] == second.signals
    assert float(QUIET - SPEAKS) == second.skipped("missed")
    assert [(QUIET - SPEAKS, 1, "1h")] == [(line["candles"], line["coins"], line["timeframe"]) for line in missed]


async def test_a_hole_gives_null_and_no_signal_and_once_it_is_filled_the_candle_is_judged() -> None:
    holed = [row for at, row in enumerate(WALK) if at != SPEAKS - 100]
    async with Bench().running() as bench:
        await bench.keeper.put(COIN, holed[SPEAKS - 501 : SPEAKS])
        await bench.keeper.announce([COIN])
        await bench.clock.advance(0)
        kept, state = await bench.kept(), bench.studies.state
        await bench.see(SPEAKS, SPEAKS)

    assert (False, None, None, None, ()) == (kept.quality.ok, kept.ribbon, kept.squeeze, kept.stochastic_rsi, kept.signals)
    assert "candles are missing from" in str(kept.quality.reason)
    assert "degraded" == state[0]
    assert list(signals_at(SPEAKS)) == bench.signals
    assert 1.0 == bench.skipped("hole")


async def test_bad_bytes_of_one_coin_are_counted_and_named_and_stop_no_other() -> None:
    async with Bench().running() as bench:
        await bench.keeper.bytes("ATORN", *(half[:-9] for half in cached(visible(SPEAKS))))
        await bench.keeper.put("BNEW", walk(9))
        await bench.keeper.put(COIN, visible(SPEAKS))
        await bench.keeper.announce(["ATORN", "BNEW", COIN], failed=["CGONE"])

    assert list(signals_at(SPEAKS)) == bench.signals
    assert (1.0, 1.0, 1.0) == tuple(map(bench.skipped, ("unreadable", "short", "absent")))
    assert "4 coins, without 3: ATORN: what is in the cache cannot be read" in bench.studies.state[1]
    assert ["BNEW", COIN] == bench.studies.symbols


async def test_a_mistake_of_ours_about_one_coin_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(window: Any, config: AnalysisConfig) -> Reading:
        if window.series.symbol == "AUSDT":
            raise ZeroDivisionError("invented")
        return analyse(window, config)

    monkeypatch.setattr(studying, "analyse", fails)
    async with Bench().running() as bench:
        for coin in ("AUSDT", COIN):
            await bench.keeper.put(coin, visible(SPEAKS))
        await bench.keeper.announce(["AUSDT", COIN])

    assert list(signals_at(SPEAKS)) == bench.signals
    assert 1.0 == bench.skipped("fault")


class Failing:
    """A desk whose writes fail, before they are done or after."""

    def __init__(self, desk: Any) -> None:
        self.desk, self.fails = desk, ""
        self.listen, self.read = desk.listen, desk.read

    async def do(self, *operations: Any) -> None:
        if self.fails == "before":
            raise DeliveryError("redis: away")
        await self.desk.do(*operations)
        if self.fails == "after":
            raise DeliveryError("redis: the connection broke before the answer came")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_write_that_fails_is_made_up_for_and_one_that_went_through_unseen_is_not_repeated(when: str) -> None:
    bench = Bench()
    failing = bench.studies._desk = Failing(bench.studies._desk)  # type: ignore[assignment]
    async with bench.running():
        await bench.see(SPEAKS - 1)
        failing.fails = when
        await bench.see(SPEAKS)
        state = bench.studies.state
        failing.fails = ""
        await bench.see(SPEAKS)

    assert "degraded" == state[0]
    before = signals_at(SPEAKS - 1)
    assert [*before, *signals_at(SPEAKS)] == bench.signals
    assert "ok" == bench.studies.state[0]


async def test_what_the_cache_lost_is_put_back_and_not_published_again() -> None:
    bench = Bench()
    async with bench.running():
        await bench.see(SPEAKS)
        await bench.cache.of("market-data").do(Write(analysis_key(COIN, "1h"), b"", 0.001))
        await bench.clock.advance(1)
        bench.studies._unsure.add(SERIES)
        await bench.see(SPEAKS)
        kept = await bench.kept()

    assert bench.studies.reading(COIN, "1h") == kept
    assert list(signals_at(SPEAKS)) == bench.signals


async def test_a_reading_of_an_earlier_run_that_cannot_be_read_is_taken_for_published() -> None:
    bench = Bench()
    await bench.cache.of("market-data").do(Write(analysis_key(COIN, "1h"), b"{", 60.0))
    async with bench.running():
        await bench.see(SPEAKS)
        kept = await bench.kept()
        await bench.see(*range(SPEAKS + 1, 690))

    assert () == kept.signals
    assert [one for end in range(SPEAKS + 1, 690) for one in signals_at(end)] == bench.signals
    assert 1.0 == bench.skipped("reading")


async def test_a_cache_that_goes_back_is_not_followed() -> None:
    async with Bench().running() as bench:
        await bench.see(SPEAKS + 1, SPEAKS)

    assert list(signals_at(SPEAKS + 1)) == bench.signals
    assert 1.0 == bench.skipped("older")


async def test_coins_that_are_no_longer_kept_are_forgotten() -> None:
    async with Bench().running() as bench:
        await bench.see(SPEAKS)
        await bench.keeper.announce(["ETHUSDT"])

    assert [] == bench.studies.symbols
    assert bench.studies.reading(COIN, "1h") is None


@pytest.mark.parametrize("foreign", [b"[" * 100_000, b'{"x": ' + b"[" * 100_000, b"\xff", b'{"symbol": "\xff"}', b"null", b"17"])
async def test_a_reading_that_another_program_spoilt_is_left_and_the_next_candle_is_judged(foreign: bytes) -> None:
    bench = Bench()
    await bench.cache.of("dashboard").do(Write(analysis_key(COIN, "1h"), foreign, 600.0))
    async with bench.running():
        await bench.see(SPEAKS - 1, SPEAKS)

    assert list(signals_at(SPEAKS)) == bench.signals
    assert 1.0 == bench.skipped("reading")


async def test_candles_of_a_time_to_come_are_left_out_and_silence_no_real_ones() -> None:
    ahead = walk(501, 2, start=WALK[0].open_time + 10_000 * HOUR)
    async with Bench().running() as bench:
        await bench.keeper.put(COIN, ahead)
        await bench.keeper.announce([COIN])
        await bench.clock.advance(0)
        word, reason = bench.studies.state
        await bench.see(SPEAKS - 1, SPEAKS)

    assert "degraded" == word
    assert "from now" in reason
    assert list(signals_at(SPEAKS)) == bench.signals


async def test_a_reading_of_a_time_to_come_is_not_believed() -> None:
    ahead = walk(501, 2, start=WALK[0].open_time + 10_000 * HOUR)
    bench = Bench()
    reading = analyse(of_stored(SERIES, ahead).window(500), CONFIG)
    await bench.cache.of("dashboard").do(Write(analysis_key(COIN, "1h"), msgspec.json.encode(reading), 600.0))
    async with bench.running():
        await bench.see(SPEAKS - 1, SPEAKS)

    assert list(signals_at(SPEAKS)) == bench.signals
    assert 1.0 == bench.skipped("reading")
