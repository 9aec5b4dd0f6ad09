"""One cycle of the candle cache in a real Redis: its round trips and bytes, and what the message log costs beside none."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from bench.rounds import Row, absolute, at_most, interleave, not_measured
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.cached import CachedCandle, before_key, encode_candle, encode_candles, ohlcv_key, price_key, update_channel
from marketd.model.message_log import MIRROR
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache import Cache, MessageLogConfig, Operation, Publish, Write, open_redis

COINS, FRAMES, ROWS = 29, ("5m", "1h", "4h"), 500
TRIPS = COINS * len(FRAMES) + len(FRAMES) + 1  # a pipeline for each array, each update, and all prices
CYCLE = f"cache cycle: {COINS} coins x {len(FRAMES)} timeframes x {ROWS} candles and {COINS} prices"


def work() -> list[list[Operation]]:
    """What is one pipeline each."""
    numbers = [Decimal(text) for text in ("91000.10", "91250.00", "90990.55", "91111.11", "12.34567800")]
    candles = [CachedCandle(1_700_000_000_000 + at * 1000, 1_700_000_001_000 + at * 1000, *numbers) for at in range(ROWS)]
    rows, before, price = encode_candles(candles), encode_candle(candles[0]), b'{"price":91111.11,"change24h":-1.25}'
    pipelines: list[list[Operation]] = []
    for frame in FRAMES:
        for coin in range(COINS):
            symbol = f"C{coin}USDT"
            pipelines.append([Write(ohlcv_key(symbol, frame), rows, 120), Write(before_key(symbol, frame), before, 120)])
        pipelines.append([Publish(update_channel(frame), b"{}")])
    return [*pipelines, [Write(price_key(f"C{coin}USDT"), price, 60) for coin in range(COINS)]]


async def cycle(cache: Cache, pipelines: list[list[Operation]]) -> None:
    desk = cache.of("market-data")
    for operations in pipelines:
        await desk.do(*operations)


def sides(url: str, metrics: Metrics) -> dict[str, Callable[[], object]]:
    """Each turn opens its own connection, which is one of a hundred round trips."""
    pipelines, clock = work(), SystemClock()

    async def turn(rules: MessageLogConfig, counted: Metrics) -> None:
        link = RedisLink(RedisConfig(url=SecretUrl(url)), "bench", clock)
        async with open_redis(link, rules, clock, counted) as cache:
            await cycle(cache, pipelines)

    return {
        "logged": lambda: asyncio.run(turn(MessageLogConfig(mirror=MIRROR), metrics)),
        "bare": lambda: asyncio.run(turn(MessageLogConfig(enabled=False), Metrics())),
    }


def run() -> list[Row]:
    try:
        from tests.redis_server import RedisServer
    except ImportError as error:
        return [not_measured(CYCLE, "", f"{TRIPS} round trips", f"{error.name} is not installed")]
    rounds, metrics = 7, Metrics()
    with RedisServer(appendfsync="no") as server:
        took = interleave(sides(server.url, metrics), rounds)
    trips = sum_of(metrics, "marketd_cache_round_trips_total") / (rounds + 1)
    sent = sum_of(metrics, "marketd_cache_bytes_total", direction="sent") / (rounds + 1)
    seconds = sorted(took["logged"])[rounds // 2]
    return [
        absolute(
            CYCLE,
            f"{trips:.0f} round trips, {sent / 1e6:.1f} MB, {seconds * 1000:.0f} ms",
            f"{TRIPS} round trips",
            reached=trips == TRIPS,
            note="the bytes are the candles' own; log and mirror included",
        ),
        at_most("cache cycle with log and mirror", took["logged"], "the same without a log", took["bare"], 1.5),
    ]


def sum_of(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0
