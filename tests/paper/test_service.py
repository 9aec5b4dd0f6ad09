"""The paper trader on a cache and real books: what it hears, keeps, tells, and finds again after a restart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.errors import Unreachable
from marketd.metrics import Metrics
from marketd.model.cached import Updated, analysis_key, encode_updated, ohlcv_key, update_channel
from marketd.model.signals import SignalQuality, encode_signal, signal_channel
from marketd.model.timeframes import HOUR
from marketd.paper import service
from marketd.paper.section import PaperConfig
from marketd.paper.service import Trader
from marketd.paper.watching import Seen, Watch
from marketd.rooms import room
from marketd.stores.cache import MemoryCache, Publish, Wanted, Write
from marketd.stores.paper import open_paper
from tests.paper.cached import put, signal
from tests.paper.market import T0, candle, terms

FLAT = [candle(-1, "100"), candle(0, "100")]


class Stage:
    """A cache, a clock, and traders that come and go on one database."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.url, self.clock, self.metrics = url, clock, Metrics()
        self.cache = MemoryCache(clock, self.metrics)
        self.desk = self.cache.of("market-data")

    @asynccontextmanager
    async def trader(self, its: PaperConfig) -> AsyncIterator[Trader]:
        async with open_paper(self.url, self.clock) as store, room("test") as here:
            one = Trader(its, self.cache.of("trader-bot"), store, self.clock, self.metrics)
            here.start("trader", one.run())
            await self.until(lambda: one.books is not None)
            yield one

    async def until(self, is_so: Callable[[], object]) -> None:
        """Time goes on in small steps until it is so."""
        async with asyncio.timeout(30):
            while not is_so():
                await self.clock.advance(0.1)
                await asyncio.sleep(0.005)

    async def pass_s(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            await self.clock.advance(0.1)
            await asyncio.sleep(0.002)

    async def told(self) -> list[tuple[str, str]]:
        page = await self.cache.log(Wanted(source="trader-bot"), 1000)
        return [(one.type, one.summary) for one in reversed(page.entries) if one.type in ("trade", "error")]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture
def stage(url: str) -> Stage:
    return Stage(url, ManualClock(T0 + 10**9))


def orders(trader: Trader) -> int:
    return 0 if trader.kept is None else trader.kept.orders


async def test_a_signal_becomes_a_fill_a_line_and_the_same_books_after_a_restart(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT, "ETHUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1 and trader.kept.told == 1)
        before = trader.books
    async with stage.trader(terms()) as again:
        await stage.pass_s(1)

        assert again.books == before
        assert orders(again) == 1
    assert await stage.told() == [
        (
            "trade",
            "paper: bought 1 BTCUSDT at 100, fee 0, stop 90, take-profit 120 (opens: long by ribbon_up: it rose)",
        )
    ]


async def test_a_signal_told_twice_also_after_a_restart_is_one_order(stage: Stage) -> None:
    one = signal("BTCUSDT", T0 - HOUR)
    again = Publish(signal_channel("BTCUSDT"), encode_signal(one), signal=True)
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT}, one)
        await stage.until(lambda: orders(trader) == 1)
        await stage.desk.do(again, again)
        await stage.pass_s(1)
        stage.clock._now = T0 + HOUR + 10**9
        await put(stage.desk, {"BTCUSDT": [*FLAT, candle(1, "100")]})
        await stage.until(lambda: trader.books.boundary == T0 + HOUR)
    async with stage.trader(terms()) as trader:
        await stage.desk.do(again)
        await stage.pass_s(1)

        assert orders(trader) == 1


async def test_what_closed_while_it_was_away_is_judged_and_only_the_newest_signal_is_taken(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT, "ETHUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1)
    stage.clock._now = T0 + 3 * HOUR + 10**9
    candles = [candle(0, "100"), candle(1, "100", "100", "80"), candle(2, "85"), candle(3, "90")]
    flat = [candle(hour, "100") for hour in range(-1, 4)]
    await put(stage.desk, {"BTCUSDT": [*FLAT[:1], *candles], "ETHUSDT": flat}, signal("ETHUSDT", T0 + 2 * HOUR))
    async with stage.trader(terms()) as trader:
        await stage.until(lambda: orders(trader) == 3)
        fills = await trader.store.all_fills("main")
        points = await trader.store.equity("main", 0, 2**62, 99)

    assert [(one.symbol, one.why, one.ts) for one in fills[1:]] == [
        ("BTCUSDT", "stop", T0 + 2 * HOUR),
        ("ETHUSDT", "entry", T0 + 3 * HOUR),
    ]
    assert [one.ts for one in points] == [T0 + hour * HOUR for hour in range(4)]


async def test_signals_wait_for_those_of_the_other_symbols_but_not_for_ever(stage: Stage) -> None:
    async with stage.trader(terms(positions_max=1, wait_s=20)) as trader:
        await put(stage.desk, {"B": FLAT, "A": FLAT}, judged=False)
        await put(stage.desk, {"B": FLAT}, signal("B", T0 - HOUR), update=False)
        await stage.pass_s(5)
        assert orders(trader) == 0
        assert trader.state == ("ok", "paper only; 0 positions; waits for A")
        await put(stage.desk, {"A": FLAT}, signal("A", T0 - HOUR), update=False)
        await stage.until(lambda: orders(trader) == 2)
        assert list(trader.books.account.positions) == ["A"]
        stage.clock._now = T0 + HOUR + 10**9
        later = [*FLAT, candle(1, "100")]
        await put(stage.desk, {"A": later}, signal("A", T0, "short", "ribbon_down"), update=False)
        await stage.until(lambda: orders(trader) == 3)

        assert trader.books.account.positions == {}


async def test_by_itself_it_waits_for_one_and_a_half_refreshes_of_the_cache(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"B": FLAT, "A": FLAT}, judged=False)
        await put(stage.desk, {"B": FLAT}, signal("B", T0 - HOUR), update=False)
        await stage.until(lambda: trader.state[1].endswith("waits for A"))
        heard = stage.clock.now_ns()
        await stage.until(lambda: orders(trader) == 1)

    assert 175 <= (stage.clock.now_ns() - heard) / 1e9 <= 200


async def test_a_cache_that_falls_silent_or_loses_its_candles_is_said(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT})
        await stage.until(lambda: trader.state == ("ok", "paper only; 0 positions; waits for the next candle"))
        stage.clock._now += 241 * 10**9
        silent = trader.state
        await stage.desk.do(Write(ohlcv_key("BTCUSDT", "1h"), b"[]", 60))
        await stage.desk.do(Publish(update_channel("1h"), encode_updated(Updated("1h", ["BTCUSDT"], [], ""))))
        await stage.until(lambda: trader.state[1] == "the cache has no candles that closed")

    assert silent == ("degraded", "no update of 1h for 241 s, expected every 120 s on market:update:1h")
    assert trader.state[0] == "degraded"


async def test_doubtful_and_stale_signals_are_refused_and_told(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR, ok=False), signal("BTCUSDT", T0 - 2 * HOUR))
        await stage.until(lambda: trader.kept is not None and trader.kept.told == 2)

    assert [(kind, text.partition(":")[2].partition(":")[0]) for kind, text in await stage.told()] == [
        ("error", " did not buy BTCUSDT, stale"),
        ("error", " did not buy BTCUSDT, doubtful"),
    ]


async def test_what_is_no_message_is_counted_and_other_timeframes_are_not_ours(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await stage.desk.do(
            Publish(signal_channel("X"), b"{"),
            Publish(update_channel("1h"), b"[]"),
            Publish(signal_channel("X"), b'{"timeframe"'),
        )
        await stage.pass_s(1)
        await put(stage.desk, {"BTCUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1)

    assert stage.metrics.registry.get_sample_value("marketd_paper_skipped_total", {"reason": "message"}) == 3


async def test_books_of_another_timeframe_are_left_alone(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1)
    async with stage.trader(terms(timeframe="5m")) as trader:
        await stage.until(lambda: "paper.timeframe is 5m" in trader.state[1])

        assert trader.state[0] == "unhealthy"


async def test_books_are_read_and_said_once_however_long_the_cache_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> Seen:
        tries.append(1)
        raise Unreachable("redis: Connection refused")

    tries: list[int] = []
    async with stage.trader(terms(cash=Decimal(5))):
        pass
    with monkeypatch.context() as patched, capture_logs() as lines:
        async with stage.trader(terms()) as trader:
            patched.setattr(Watch, "look", away)
            await put(stage.desk, {"BTCUSDT": FLAT})
            await stage.until(lambda: len(tries) == 2)
            before = trader.books
            await stage.until(lambda: len(tries) > 5)
            assert trader.state == ("unhealthy", "redis: Connection refused")
            assert trader.books is before is not None
            patched.undo()
            await stage.until(lambda: trader.state[0] != "unhealthy")

    said = [one["event"] for one in lines if one["event"].startswith("paper.")]
    assert ["paper.cash", "paper.books", "paper.away"] == said


async def test_a_step_that_another_trader_made_first_is_read_and_not_made_again(stage: Stage) -> None:
    async with stage.trader(terms()) as one, stage.trader(terms()) as other:
        await put(stage.desk, {"BTCUSDT": FLAT, "ETHUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR), signal("ETHUSDT", T0 - HOUR))
        await stage.until(lambda: orders(one) == orders(other) == 2 and one.books == other.books)
        fills = await one.store.all_fills("main")

    assert [fill.symbol for fill in fills] == ["BTCUSDT", "ETHUSDT"]


async def test_the_log_is_told_what_a_killed_process_kept_and_did_not_tell(stage: Stage) -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    quiet: Callable[..., Awaitable[None]] = silent
    async with stage.trader(terms()) as trader:
        trader._tell = quiet  # type: ignore[method-assign]
        await put(stage.desk, {"BTCUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1)
    assert await stage.told() == []
    async with stage.trader(terms()) as trader:
        await stage.until(lambda: trader.kept is not None and trader.kept.told == 1)

    assert len(await stage.told()) == 1


FOREIGN = signal("BTCUSDT", T0 - HOUR)


NO_MESSAGES = [
    b"[" * 100_000,
    b'{"x": ' + b"[" * 100_000,
    encode_signal(replace(FOREIGN, venue="v" * 51)),
    encode_signal(replace(FOREIGN, venue="a:b")),
    encode_signal(replace(FOREIGN, rule="ribbon_up:exit")),
    encode_signal(replace(FOREIGN, rule="r" * 10_000)),
    encode_signal(replace(FOREIGN, reasons=("it\0rose",))),
    encode_signal(replace(FOREIGN, reasons=("it rose",) * 10_000)),
    encode_signal(replace(FOREIGN, quality=SignalQuality(False, "\0"))),
    encode_signal(replace(FOREIGN, open_time=-(10**30), close_time=HOUR - 10**30)),
    encode_signal(replace(FOREIGN, open_time=10**30)),
]


async def test_messages_that_no_book_can_hold_are_skipped_and_the_next_signal_is_acted_on(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await stage.desk.do(*(Publish(signal_channel("BTCUSDT"), payload) for payload in NO_MESSAGES))
        await put(stage.desk, {"BTCUSDT": FLAT}, signal("BTCUSDT", T0 - HOUR))
        await stage.until(lambda: orders(trader) == 1)
        fills = await trader.store.all_fills("main")

    assert [fill.symbol for fill in fills] == ["BTCUSDT"]
    skipped = stage.metrics.registry.get_sample_value("marketd_paper_skipped_total", {"reason": "message"})
    assert skipped == len(NO_MESSAGES)


async def test_a_reading_with_a_signal_that_no_book_can_hold_is_skipped_and_the_others_are_acted_on(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        reading = {"close_time": T0, "signals": [replace(FOREIGN, rule="a:b"), signal("ETHUSDT", T0 - HOUR)]}
        await put(stage.desk, {"ETHUSDT": FLAT, "BTCUSDT": FLAT}, signal("ETHUSDT", T0 - HOUR), update=False)
        await stage.desk.do(
            Write(analysis_key("BTCUSDT", "1h"), msgspec.json.encode(reading), 60),
            Publish(update_channel("1h"), encode_updated(Updated("1h", ["BTCUSDT", "ETHUSDT"], [], ""))),
        )
        await stage.until(lambda: orders(trader) == 1)

    assert stage.metrics.registry.get_sample_value("marketd_paper_skipped_total", {"reason": "reading"}) >= 2


async def test_a_forming_candle_with_a_volume_that_none_is_stops_nobody(stage: Stage) -> None:
    async with stage.trader(terms()) as trader:
        await put(stage.desk, {"BTCUSDT": FLAT, "ETHUSDT": FLAT}, update=False)
        spoilt = b'[{"open_time":0,"close_time":0,"open":1,"high":1,"low":1,"close":1,"volume":"NaN"}]'
        await stage.desk.do(Write(ohlcv_key("ETHUSDT", "1h"), spoilt, 60))
        payload = encode_updated(Updated("1h", ["BTCUSDT", "ETHUSDT"], [], ""))
        found = signal("BTCUSDT", T0 - HOUR)
        await stage.desk.do(Publish(update_channel("1h"), payload), Publish(signal_channel("BTCUSDT"), encode_signal(found)))
        await stage.until(lambda: orders(trader) == 1)

    assert stage.metrics.registry.get_sample_value("marketd_paper_skipped_total", {"reason": "fault"}) is None


async def test_a_mistake_of_ours_is_told_with_its_place_and_without_a_stack_trace(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("invented")

    with capture_logs() as lines:
        async with stage.trader(terms()) as trader:
            monkeypatch.setattr(service, "step", fails)
            await put(stage.desk, {"BTCUSDT": FLAT})
            await stage.until(lambda: "a mistake of ours" in trader.state[1])
    faults = [line for line in lines if line["event"] == "paper.fault"]

    assert len(faults) == 1
    assert "exc_info" not in faults[0]
    assert faults[0]["error"].startswith("ZeroDivisionError at test_service.py:")
