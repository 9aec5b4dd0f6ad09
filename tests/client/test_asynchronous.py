"""The client for asyncio gets what is stored, whole and exact, also from a server that fails now and then."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from marketd.client import (
    BadAnswer,
    BadRequest,
    MarketDataClient,
    NotAllowed,
    NotFound,
    Retry,
    ServerFailed,
    TryLater,
    Unreachable,
)
from marketd.model.ledger import Stretch
from marketd.model.timeframes import MINUTE
from tests.api.conftest import FIRST, SERIES, fill
from tests.client.conftest import Script, Served, answer

START = datetime(2024, 11, 14, 17, 30, tzinfo=UTC)
NEXT_DAY = date(2024, 11, 15)
SYMBOLS = answer(200, '{"binance":["BTCUSDT"]}')
QUICK = Retry(attempts=3)


async def never_wait(delay_s: float) -> None: ...


async def test_candles_are_typed_and_have_the_venues_digits(served: Served) -> None:
    async with MarketDataClient(served.url) as client:
        (found,) = await client.get_candles(*SERIES, START, START + timedelta(minutes=1))

    assert ("bitfinex", "BTCUSD", "1m", START) == (found.exchange, found.symbol, found.timeframe, found.open_time)
    assert ("91000.000", "1.123456789012345678") == (str(found.open), str(found.volume))
    assert Decimal("91000.50") == found.close
    assert found.closed is None


@pytest.mark.parametrize(
    "start", [START, START.replace(tzinfo=None), "2024-11-14T17:30:00Z", 1_731_605_400, NEXT_DAY - timedelta(1)]
)
async def test_a_start_is_taken_in_every_form(served: Served, start: datetime) -> None:
    async with MarketDataClient(served.url) as client:
        assert 25 == len(await client.get_candles(*SERIES, start, NEXT_DAY))


async def test_a_long_range_comes_whole_in_pages(served: Served) -> None:
    await fill(served.archive, 25, 1000)
    async with MarketDataClient(served.url) as client:
        sizes = [len(page.candles) async for page in client.iter_pages(*SERIES, START, NEXT_DAY, page=400)]
        single = [candle async for candle in client.iter_candles(*SERIES, START, NEXT_DAY, page=333)]
        whole = await client.get_candles(*SERIES, START, NEXT_DAY)

    stop = 390  # minutes until the end of the day
    assert [390] == sizes
    assert [START + timedelta(minutes=minute) for minute in range(stop)] == [candle.open_time for candle in single]
    assert whole == single


async def test_the_newest_and_what_is_included(served: Served) -> None:
    async with MarketDataClient(served.url) as client:
        found = await client.latest("BTCUSD", "1m", 2, include=["closed", "revision", "source"])

    assert [START + timedelta(minutes=minute) for minute in (23, 24)] == [candle.open_time for candle in found]
    assert (True, 0, "backfill") == (found[0].closed, found[0].revision, found[0].source)


async def test_gaps_symbols_and_status_are_typed(served: Served) -> None:
    await served.archive.settle(SERIES, [Stretch(FIRST + 30 * MINUTE, FIRST + 32 * MINUTE, "missing", "fetch failed", FIRST)])
    async with MarketDataClient(served.url) as client:
        (gap,) = await client.gaps(exchange="bitfinex", open_only=True)
        symbols = await client.symbols("binance")
        status = await client.status()

    assert (START + timedelta(minutes=30), "missing", None) == (gap.gap_start, gap.state, gap.repaired_at)
    assert ["BTCUSDT", "ETHUSDT", "SOLUSDT"] == symbols["binance"]
    assert ("bitfinex", 25, 2, False) == (
        status.series[0].exchange,
        *(getattr(status.series[0], name) for name in ("count", "gaps", "live")),
    )


async def test_a_refusal_has_the_servers_words(served: Served) -> None:
    async with MarketDataClient(served.url) as client:
        with pytest.raises(BadRequest, match="timeframe") as refused:
            await client.latest("BTCUSD", "1x")
        with pytest.raises(NotFound, match="nothing is stored") as missing:
            await client.get_candles("bitfinex", "NOPE", "1m", START, NEXT_DAY)

    assert "timeframe" == refused.value.parameter
    assert ["BTCUSD"] == missing.value.allowed


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (answer(503, '{"error":"busy"}'), TryLater),
        (answer(429, "too many"), TryLater),
        (b"", Unreachable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", Unreachable),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n", Unreachable),
    ],
)
async def test_what_may_pass_is_tried_again(scripted: Script, failure: bytes, error: type[Exception]) -> None:
    async with (
        scripted(failure, failure, SYMBOLS) as server,
        MarketDataClient(server.url, retry=QUICK, wait=never_wait) as client,
    ):
        assert {"binance": ["BTCUSDT"]} == await client.symbols()
    async with scripted(failure) as server, MarketDataClient(server.url, retry=QUICK, wait=never_wait) as client:
        with pytest.raises(error):
            await client.symbols()

        assert 3 == len(server.asked)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (answer(500, '{"error":"a mistake"}'), ServerFailed),
        (answer(401, '{"error":"a token is needed"}'), NotAllowed),
        (answer(200, "<html>"), BadAnswer),
        (answer(200, '{"binance": 5}'), BadAnswer),
        (answer(302, "", "location: https://elsewhere"), BadAnswer),
        (answer(200, "no gzip", "content-encoding: gzip"), BadAnswer),
        (answer(400, '{"error":"x","parameter":"y","allowed":["z"]}'), BadRequest),
    ],
)
async def test_what_does_not_pass_is_not(scripted: Script, failure: bytes, error: type[Exception]) -> None:
    async with scripted(failure) as server, MarketDataClient(server.url, wait=never_wait) as client:
        with pytest.raises(error):
            await client.symbols()

        assert 1 == len(server.asked)


async def test_the_server_says_how_long_to_wait(scripted: Script) -> None:
    waited: list[float] = []

    async def wait(delay_s: float) -> None:
        waited.append(delay_s)

    async with (
        scripted(answer(503, "{}", "retry-after: 7"), SYMBOLS) as server,
        MarketDataClient(server.url, wait=wait) as client,
    ):
        await client.symbols()

    assert [7.0] == waited


async def test_nobody_there_is_unreachable_and_says_where() -> None:
    async with MarketDataClient("http://127.0.0.1:1", retry=QUICK, wait=never_wait) as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
            await client.status()


async def test_the_token_is_sent(scripted: Script) -> None:
    async with scripted(SYMBOLS) as server, MarketDataClient(server.url, token="secret") as client:
        await client.symbols()

    assert "authorization: bearer secret" in server.asked[0].lower()
