"""Scanner and technical analysis on a real Redis: exact payloads, a service that is restarted, a server that is killed."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
import pytest

from marketd.analysis.closed import of_stored
from marketd.analysis.scanning import CHANNEL, Ranking, Scanner
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.studying import Studies
from marketd.analysis.technical import analyse
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.cached import analysis_key
from marketd.model.message_log import STREAM
from marketd.model.series import CandleSeries
from marketd.model.signals import Signal, encode_signal
from marketd.net.redis import RedisConfig, RedisLink
from marketd.rooms import room
from marketd.secrets import SecretUrl
from marketd.stores.cache import MessageLogConfig, open_redis
from tests.analysis.candles import walk
from tests.analysis.keeping import Keeper
from tests.daemons import eventually
from tests.redis_server import RedisServer

COINS = ("AUSDT", "BUSD")
WALKS = {coin: walk(640, seed) for seed, coin in enumerate(COINS, 3)}
CONFIG = AnalysisConfig()


def signals_at(coin: str, end: int) -> tuple[Signal, ...]:
    return analyse(of_stored(CandleSeries("made", coin, "1h"), WALKS[coin]).window(end), CONFIG).signals


def payloads(first: int, stop: int) -> list[bytes]:
    return [encode_signal(one) for end in range(first, stop) for coin in COINS for one in signals_at(coin, end)]


class Chain:
    """A keeper of the cache and the two services, as three programs would have them: a link each."""

    def __init__(self, keeper: Keeper, scanner: Scanner, studies: Studies, metrics: Metrics) -> None:
        self.keeper, self.scanner, self.studies, self.metrics = keeper, scanner, studies, metrics

    async def see(self, first: int, stop: int) -> None:
        """The cache moves on from candle to candle; each step is waited for."""
        for end in range(first, stop):
            await self.announce(end)
            await eventually(lambda end=end: self.seen(end))

    async def announce(self, end: int) -> None:
        for coin in COINS:
            await self.keeper.put(coin, WALKS[coin][end - 500 : end + 1])
        await self.keeper.announce(COINS)

    def seen(self, end: int) -> bool:
        readings = [self.studies.reading(coin, "1h") for coin in COINS]
        rows = self.scanner.ranking.coins
        times = [one.open_time for one in readings if one is not None] + [row.scan.open_time for row in rows]
        return times == [WALKS[COINS[0]][end - 1].open_time] * 4

    def resumed(self, times: int) -> bool:
        return [times, times] == [self.scanner.listening.resumed, self.studies.listening.resumed]

    def skipped(self, reason: str) -> float:
        labels = {"role": "ta", "reason": reason}
        return self.metrics.registry.get_sample_value("marketd_analysis_skipped_total", labels) or 0.0


@asynccontextmanager
async def chain(url: str) -> AsyncIterator[Chain]:
    clock, metrics = SystemClock(), Metrics()
    links = [RedisLink(RedisConfig(url=SecretUrl(url)), f"marketd-{name}", clock) for name in ("cache", "scanner", "ta")]
    rules = MessageLogConfig()
    async with (
        open_redis(links[0], rules, clock, metrics) as cache,
        open_redis(links[1], rules, clock, metrics) as of_scanner,
        open_redis(links[2], rules, clock, metrics) as of_ta,
        room("test") as here,
    ):
        scanner = Scanner(of_scanner.of("dashboard"), CONFIG, "made", 120.0, (), clock, metrics)
        studies = Studies(of_ta.of("ta-service"), CONFIG, "made", {"1h": 120.0}, (), clock, metrics)
        for name, link in zip(("cache", "scanner", "ta"), links, strict=True):
            here.start(f"watch-{name}", link.run())
        here.start("scanner", scanner.run())
        here.start("ta", studies.run())
        running = Chain(Keeper(cache), scanner, studies, metrics)
        await eventually(lambda: running.resumed(1))
        yield running


@contextmanager
def heard(server: RedisServer, channel: str) -> Iterator[list[bytes]]:
    """What another program hears; complete once the block is left."""
    found: list[bytes] = []
    with server.client() as client:
        client.connection_pool.connection_kwargs["decode_responses"] = False
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.psubscribe(channel)
        pubsub.get_message(timeout=5)
        yield found
        while (message := pubsub.get_message(timeout=0.3)) is not None:
            found.append(message["data"])


async def test_what_others_hear_and_find_is_what_the_pure_functions_give(redis_server: RedisServer) -> None:
    with heard(redis_server, "market:signal:*") as signals, heard(redis_server, CHANNEL) as rankings:
        async with chain(redis_server.url) as running:
            await running.see(520, 560)

    kept = msgspec.json.decode(rankings[-1], type=Ranking)
    with redis_server.client() as client:
        log = [fields for _, fields in client.xrange(STREAM)]

    assert payloads(520, 560) == signals
    assert len(signals) > 3
    assert 40 == len(rankings)
    assert json.loads(rankings[-1]) == json.loads(redis_server.command("GET", CHANNEL))
    assert WALKS["AUSDT"][558].open_time == kept.coins[0].scan.open_time
    assert 0 < redis_server.command("PTTL", CHANNEL) <= 300_000
    assert 500 * 3600 - 60 < redis_server.command("TTL", analysis_key("AUSDT", "1h")) <= 500 * 3600
    assert len(signals) == count(log, "signal", "ta-service", "market:signal:AUSDT") + count(
        log, "signal", "ta-service", "market:signal:BUSD"
    )
    assert 40 == count(log, "publish", "dashboard", CHANNEL) == count(log, "cache_write", "dashboard", CHANNEL)
    assert 40 == count(log, "cache_read", "ta-service", "market:ohlcv:AUSDT:1h")


def count(log: list[dict[str, str]], kind: str, source: str, channel: str) -> int:
    return sum((one["type"], one["source"], one["channel"]) == (kind, source, channel) for one in log)


async def test_a_restarted_service_publishes_nothing_twice_and_leaves_out_nothing(redis_server: RedisServer) -> None:
    with heard(redis_server, "market:signal:*") as signals:
        for first, stop in ((520, 535), (535, 536), (536, 560)):
            async with chain(redis_server.url) as running:
                if first > 520:
                    await running.see(first - 1, first)
                await running.see(first, stop)

    assert payloads(520, 560) == signals


@pytest.mark.parametrize("settings", [{"appendonly": "yes", "appendfsync": "always"}, {"appendonly": "no", "save": ""}])
async def test_redis_killed_and_back_publishes_nothing_twice_and_tells_what_closed_meanwhile(settings: dict[str, str]) -> None:
    with RedisServer(**settings) as server:
        async with chain(server.url) as running:
            with heard(server, "market:signal:*") as before:
                await running.see(520, 530)
            server.kill()
            server.start()
            await eventually(lambda: running.resumed(2))
            with heard(server, "market:signal:*") as after:
                await running.see(529, 530)
                known = server.command("EXISTS", analysis_key("AUSDT", "1h"), analysis_key("BUSD", "1h"))
                await running.see(533, 560)
            state = running.studies.state

    assert payloads(520, 530) == before
    assert payloads(533, 560) == after
    assert 2 == known
    assert 3.0 * len(COINS) == running.skipped("missed")
    assert ("ok", "2 coins") == state
