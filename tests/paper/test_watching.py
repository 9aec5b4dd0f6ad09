"""What of the shared cache the trader takes, and what it does not believe."""

from types import SimpleNamespace

import pytest

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.cached import CachedPrice, Updated, encode_price, encode_updated, price_key
from marketd.model.exact import plain
from marketd.model.signals import encode_signal
from marketd.model.timeframes import HOUR
from marketd.paper.account import Account
from marketd.paper.advising import advice_of
from marketd.paper.books import Books
from marketd.paper.watching import Watch
from marketd.stores.cache import MemoryCache, Write
from tests.paper.cached import put, signal
from tests.paper.market import FREE, T0, candle, terms

BOOKS = Books(Account.opened(FREE.cash))
FLAT = [candle(-1, "100"), candle(0, "100")]
CLOCK = ManualClock(T0 + 10**9)


def watch_of(**settings: object) -> tuple[Watch, MemoryCache]:
    cache = MemoryCache(CLOCK, Metrics())
    return Watch(cache.of("trader-bot"), terms(**settings), CLOCK, Metrics()), cache


async def test_candles_and_the_signals_of_readings_are_one_look() -> None:
    watch, cache = watch_of()
    watch.heard_update(encode_updated(Updated("1h", ["A", "B"], ["C"], "")))
    await put(cache.of("market-data"), {"A": FLAT, "B": FLAT}, signal("A", T0 - HOUR))
    seen = await watch.look(BOOKS)

    assert seen.look is not None
    assert (seen.look.boundary, sorted(seen.look.sights)) == (T0, ["A", "B", "C"])
    assert [one.id for one in seen.look.advices] == [f"sim:A:1h:{T0 - HOUR}:ribbon_up"]
    assert seen.lacking == "waits for C"
    assert seen.look.sights["C"].doubt == "no candles in the cache"


async def test_before_anything_is_known_there_is_nothing_to_look_at() -> None:
    watch, _ = watch_of()
    assert await watch.look(BOOKS) == (None, "no update of the cache has named a symbol yet")
    watch.heard_update(encode_updated(Updated("1h", ["A"], [], "")))

    assert await watch.look(BOOKS) == (None, "the cache has no candles that closed")


async def test_a_signal_before_any_update_waits_for_the_other_symbols() -> None:
    watch, cache = watch_of()
    watch.heard_signal(encode_signal(signal("A", T0 - HOUR)))
    await put(cache.of("market-data"), {"A": FLAT}, signal("A", T0 - HOUR))

    assert await watch.look(BOOKS) == (None, "no update of the cache has named a symbol yet")


async def test_candles_of_a_time_to_come_are_doubt_and_move_no_boundary() -> None:
    watch, cache = watch_of()
    watch.heard_update(encode_updated(Updated("1h", ["A", "B"], [], "")))
    await put(cache.of("market-data"), {"A": FLAT, "B": [*FLAT, candle(1, "100"), candle(2, "100")]})
    seen = await watch.look(BOOKS)

    assert seen.look is not None
    assert seen.look.boundary == T0
    assert seen.look.sights["B"].closed == ()
    assert seen.look.sights["B"].doubt == "its newest closed candle ends 7199 s from now"


async def test_values_that_cannot_be_read_are_doubt() -> None:
    watch, cache = watch_of(fill="quote")
    watch.heard_update(encode_updated(Updated("1h", ["A", "B"], [], "")))
    desk = cache.of("market-data")
    await put(desk, {"A": FLAT, "B": FLAT})
    await desk.do(Write("market:ohlcv:A:1h", b"[{", 9), Write("market:analysis:B:1h", b"{", 9), Write(price_key("B"), b"{", 9))
    seen = await watch.look(BOOKS)

    assert seen.look is not None
    assert seen.look.sights["A"].doubt.startswith("its candles cannot be read")
    assert seen.look.sights["B"].quote is None


async def test_a_quote_is_read_with_its_time() -> None:
    watch, cache = watch_of(fill="quote")
    watch.heard_update(encode_updated(Updated("1h", ["A"], [], "")))
    desk = cache.of("market-data")
    await put(desk, {"A": FLAT})
    price = CachedPrice(FREE.cash, None, None, "2024-01-01T00:00:00Z", FREE.cash, FREE.cash)
    await desk.do(Write(price_key("A"), encode_price(price), 60))
    seen = await watch.look(BOOKS)
    assert seen.look is not None
    quote = seen.look.sights["A"].quote

    assert quote is not None
    assert (plain(quote.bid), quote.ts) == ("1000", 1_704_067_200_000_000_000)


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"symbols": ["a b"], "failed": [], "timeframe": "1h", "timestamp": ""}'])
def test_an_update_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        watch_of()[0].heard_update(payload)


def test_signals_of_other_timeframes_and_rules_are_not_ours_and_those_of_the_future_are_refused() -> None:
    watch, _ = watch_of(rules=["squeeze_up"])

    assert not watch.heard_signal(encode_signal(signal("A", T0 - HOUR)))
    assert watch.heard_signal(encode_signal(signal("A", T0 - HOUR, rule="squeeze_up")))
    with pytest.raises(ValueError, match="closes more than a candle from now"):
        watch.heard_signal(encode_signal(signal("A", T0 + HOUR, rule="squeeze_up")))


async def test_what_was_decided_no_longer_waits_and_what_comes_during_a_look_does(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, cache = watch_of()
    desk = cache.of("market-data")
    watch.heard_update(encode_updated(Updated("1h", ["A", "B"], [], "")))
    watch.heard_signal(encode_signal(signal("A", T0 - HOUR)))
    await put(desk, {"A": FLAT, "B": FLAT})

    async def read_while_one_comes(*keys: str) -> list[bytes | None]:
        watch.heard_signal(encode_signal(signal("B", T0 - HOUR)))
        return await desk.read(*keys)

    monkeypatch.setattr(watch, "_desk", SimpleNamespace(read=read_while_one_comes))
    seen = await watch.look(BOOKS)
    assert seen.look is not None
    watch.settled(seen.look.advices)

    assert [one.symbol for one in seen.look.advices] == ["A"]  # what was read may be older than the other
    assert [one.symbol for one in watch.pending.values()] == ["B"]


def test_a_signal_that_doubts_itself_is_doubted() -> None:
    assert advice_of(signal("A", T0, ok=False)).doubt == "a hole"
    assert advice_of(signal("A", T0)).doubt == ""
