"""The scanner as a service: what is in the cache is ranked, published, kept and shown; what is missing is named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from structlog.testing import capture_logs

from marketd.analysis import scanning
from marketd.analysis.closed import of_cache
from marketd.analysis.scan import rank, scan
from marketd.analysis.scanning import CHANNEL, Ranking, Row, Scanner
from marketd.analysis.section import AnalysisConfig
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.series import CandleSeries
from marketd.rooms import room
from marketd.stores.cache import Message, Write
from marketd.stores.cache.memory import MemoryCache
from tests.analysis.candles import HOUR, T0, cached, walk
from tests.analysis.keeping import Keeper

CONFIG = AnalysisConfig()


class Bench:
    def __init__(self, cache: MemoryCache | None = None, coins: tuple[str, ...] = ()) -> None:
        self.clock, self.metrics = ManualClock(T0 + 1_000 * HOUR), Metrics()
        self.cache = cache or MemoryCache(self.clock, self.metrics)
        self.keeper = Keeper(self.cache)
        self.scanner = Scanner(self.cache.of("dashboard"), CONFIG, "made", 120.0, coins, self.clock, self.metrics)
        self.heard: list[Message] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        async with self.cache.of("market-data").listen(CHANNEL) as messages, room("test") as here:
            here.start("scanner", self.scanner.run())
            await self.clock.advance(0)
            yield self
            await self.clock.advance(0)
            while len(messages):  # type: ignore[arg-type]
                if isinstance(message := await anext(messages), Message):
                    self.heard.append(message)

    def skipped(self, reason: str) -> float:
        labels = {"role": "scanner", "reason": reason}
        return self.metrics.registry.get_sample_value("marketd_analysis_skipped_total", labels) or 0.0


async def test_what_is_published_kept_and_shown_is_the_ranking_of_the_pure_function() -> None:
    rows = {"AUSDT": walk(501, 1), "BUSDT": walk(501, 2), "CUSDT": walk(501, 3)}
    async with Bench().running() as bench:
        for coin, its in rows.items():
            await bench.keeper.put(coin, its)
        await bench.keeper.price("AUSDT", "101.50")
        await bench.keeper.announce(list(rows))
        await bench.clock.advance(1)
        (kept,) = await bench.cache.of("dashboard").read(CHANNEL)
        left_s = bench.cache.ttl_s(CHANNEL)

    expected = rank(scan(of_cache(CandleSeries("made", coin, "1h"), *cached(its)), CONFIG) for coin, its in rows.items())
    found = msgspec.json.decode(bench.heard[0].payload, type=Ranking)

    assert [one.scan for one in expected] == [row.scan for row in found.coins]
    assert [1, 2, 3] == [row.rank for row in found.coins]
    assert ("101.50", "2023-12-05T20:00:30+00:00") == next(
        (row.price, row.price_time) for row in found.coins if row.symbol == "AUSDT"
    )
    assert bench.heard[0].payload == kept
    assert bench.scanner.ranking == found
    assert 299.0 == left_s
    assert ("ok", "3 coins") == bench.scanner.state


async def test_coins_without_values_come_last_with_the_reason_and_stop_nobody() -> None:
    async with Bench().running() as bench:
        await bench.keeper.put("AUSDT", walk(501, 1))
        holed = walk(502, 2)
        del holed[100]
        await bench.keeper.put("HOLE", holed)
        await bench.keeper.put("NEW", walk(40, 3))
        await bench.keeper.bytes("TORN", *(half[: len(half) // 2] for half in cached(walk(501, 4))))
        await bench.keeper.bytes("BYTES", b"\xff\x00", b"\xff\x00")
        await bench.keeper.price("AUSDT", "nonsense")
        await bench.keeper.announce(["AUSDT", "HOLE", "NEW", "TORN", "BYTES"], failed=["GONE"])

    coins = {row.symbol: row for row in bench.scanner.ranking.coins}

    assert ("AUSDT", 1, None) == (bench.scanner.ranking.coins[0].symbol, coins["AUSDT"].rank, coins["AUSDT"].price)
    assert {None} == {coins[coin].rank for coin in ("HOLE", "NEW", "TORN", "BYTES", "GONE")}
    assert {None} == {coins[coin].scan.score for coin in ("HOLE", "NEW", "TORN", "BYTES", "GONE")}
    assert "candles are missing from 2023-11-19T04:00:00+00:00" in str(coins["HOLE"].scan.quality.reason)
    assert "39 closed candles, 500 are needed" == coins["NEW"].scan.quality.reason
    assert "cannot be read" in str(coins["TORN"].scan.quality.reason)
    assert "cannot be read" in str(coins["BYTES"].scan.quality.reason)
    assert "no candles in the cache" in str(coins["GONE"].scan.quality.reason)
    assert [1.0, 1.0, 2.0, 1.0, 1.0] == [*map(bench.skipped, ("hole", "short", "unreadable", "absent", "price"))]
    assert ("ok", True) == (bench.scanner.state[0], "6 coins, without 5: HOLE: candles are missing" in bench.scanner.state[1])


async def test_a_mistake_of_ours_about_one_coin_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(window, config):  # type: ignore[no-untyped-def]
        if window.series.symbol == "BUSDT":
            raise ZeroDivisionError("invented")
        return scan(window, config)

    monkeypatch.setattr(scanning, "scan", fails)
    with capture_logs() as lines:
        async with Bench().running() as bench:
            for coin in ("AUSDT", "BUSDT"):
                await bench.keeper.put(coin, walk(501, 1))
            await bench.keeper.announce(["AUSDT", "BUSDT"])
    (fault,) = [line for line in lines if line["event"] == "analysis.fault"]

    assert "exc_info" not in fault, "no stack trace at whoever reads the log"
    assert fault["error"].startswith("ZeroDivisionError at test_scanning.py:")
    assert ["AUSDT"] == [row.symbol for row in bench.scanner.ranking.coins]
    assert 1.0 == bench.skipped("fault")
    assert "BUSDT: a mistake of ours: ZeroDivisionError" in bench.scanner.state[1]


async def test_after_a_restart_the_last_ranking_is_shown_and_its_coins_are_scanned_at_once() -> None:
    async with Bench().running() as before:
        await before.keeper.put("AUSDT", walk(501, 1))
        await before.keeper.announce(["AUSDT"])
    await before.keeper.put("AUSDT", walk(501, 7))
    after = Bench(before.cache)
    shown = after.scanner.ranking
    async with after.running():
        pass

    assert () == shown.coins
    assert [row.symbol for row in before.scanner.ranking.coins] == [row.symbol for row in after.scanner.ranking.coins]
    assert before.scanner.ranking.coins[0].scan.close != after.scanner.ranking.coins[0].scan.close
    assert 1 == len(after.heard)


async def test_a_ranking_of_another_shape_or_timeframe_is_left_alone() -> None:
    bench = Bench()
    row = Row(1, "AUSDT", None, None, scan(of_cache(CandleSeries("made", "AUSDT", "4h"), None, None), CONFIG))
    for kept in (b"[]", msgspec.json.encode(Ranking("4h", "2023-12-05T20:00:30+00:00", (row,)))):
        await bench.cache.of("dashboard").do(Write(CHANNEL, kept, 60.0))
        async with bench.running():
            pass

    assert () == bench.scanner.ranking.coins
    assert 1.0 == bench.skipped("ranking")


async def test_configured_coins_are_scanned_before_any_update() -> None:
    bench = Bench(coins=("AUSDT",))
    await bench.keeper.put("AUSDT", walk(501, 1))
    async with bench.running():
        pass

    assert ["AUSDT"] == [row.symbol for row in bench.scanner.ranking.coins]


@pytest.mark.parametrize("foreign", [b"[" * 100_000, b"\xff", b'{"timeframe": "\xff"}'])
async def test_a_ranking_that_another_program_spoilt_is_left(foreign: bytes) -> None:
    bench = Bench()
    await bench.cache.of("dashboard").do(Write(CHANNEL, foreign, 600.0))
    async with bench.running():
        await bench.keeper.put("AUSDT", walk(501, 1))
        await bench.keeper.announce(["AUSDT"])
        await bench.clock.advance(1)

    assert ["AUSDT"] == [row.symbol for row in bench.scanner.ranking.coins]
    assert 1.0 == bench.skipped("ranking")


@pytest.mark.parametrize("price", ["1e100000000", "1e-100000000", '"NaN"', '"Infinity"', '"-Infinity"', '"sNaN"'])
async def test_a_price_that_is_none_is_left_out(price: str) -> None:
    async with Bench().running() as bench:
        await bench.keeper.put("AUSDT", walk(501, 1))
        await bench.keeper.price("AUSDT", price)
        await bench.keeper.announce(["AUSDT"])
        await bench.clock.advance(1)

    assert [None] == [row.price for row in bench.scanner.ranking.coins]
    assert 1.0 == bench.skipped("price")
