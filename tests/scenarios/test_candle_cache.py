"""The candle cache against the simulated Binance.US: what its keys hold and how long, what the venue is asked, who asks it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import redis.asyncio

from marketd.candles.coins import COINS
from marketd.candles.schedule import due, pace
from marketd.daemon.polling import AGENT
from marketd.model.cached import Updated, decode_updated
from marketd.model.message_log import STREAM
from marketd.sim import open_sim
from marketd.sim.symbols import COINS_US, COINS_US_USD
from marketd.stores.cache import Note, Operation, Publish, Write
from marketd.stores.cache.redis import RedisDesk
from tests.daemons import Running, eventually
from tests.jumping import JumpingClock
from tests.redis_server import RedisServer
from tests.scenarios.feeds import FastClock
from tests.scenarios.polled_venue import MARKETS, Asked, write_candles
from tests.scenarios.processes import Process, run_program
from tests.server_process import free_ports

NOW_S = 1_700_000_123
BUDGET = 960  # 80 % of 1,200 a minute
PACES = {name: pace(name) for name in ("5m", "1h", "4h")}
KEYS = {f"market:ohlcv:{symbol}:{name}" for symbol in MARKETS for name in PACES} | {
    f"market:price:{symbol}" for symbol in MARKETS
}
TTL_S = {key: PACES[key.rpartition(":")[2]].ttl_s if ":ohlcv:" in key else 60 for key in KEYS}
EVERY_S = {key: PACES[key.rpartition(":")[2]].every_s if ":ohlcv:" in key else 30 for key in KEYS}
ANALYSED = {f"market:analysis:{symbol}:{name}" for symbol in MARKETS for name in PACES} | {"market:scanner"}
CHANNELS = {f"market:update:{name}" for name in (*PACES, "all")} | {"market:scanner"}
PROFILES = ("candle-cache", "scanner", "ta-service", "trader-bot")
FAILING = "XRPUSDT"


class Watched:
    """What the daemon writes and publishes, when by its clock, and how long each key lives just after."""

    def __init__(self, server: RedisServer, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: dict[str, list[float]] = defaultdict(list)
        self.updates: dict[str, list[tuple[float, Updated]]] = defaultdict(list)
        self.wrong: list[tuple[str, int]] = []
        self.entries: list[tuple[str, str, str, str]] = []  # that the log should hold: type, channel, bytes, source
        look, do = server.client(), RedisDesk.do

        async def watched(desk: RedisDesk, *operations: Operation) -> None:
            with clock.held():
                await do(desk, *operations)
            self.entries += [(*_entry(one), "market-data") for one in operations]
            for one in operations:
                if isinstance(one, Write) and one.key in KEYS:
                    left_ms = look.pttl(one.key)
                    self.writes[one.key].append(clock.monotonic())
                    if not TTL_S[one.key] * 1000 - 10_000 < left_ms <= TTL_S[one.key] * 1000:
                        self.wrong.append((one.key, left_ms))
                elif isinstance(one, Publish):
                    name = one.channel.rpartition(":")[2]
                    self.updates[name].append((clock.monotonic(), decode_updated(one.payload)))

        monkeypatch.setattr(RedisDesk, "do", watched)

    def age_max(self, key: str, from_s: float, to_s: float) -> float:
        """The oldest that this key was within that time."""
        before = max((at for at in self.writes[key] if at <= from_s), default=from_s)
        times = [before, *(at for at in self.writes[key] if from_s < at < to_s), to_s]
        return max(later - earlier for earlier, later in pairwise(times))


def _entry(one: Operation) -> tuple[str, str, str]:
    assert not isinstance(one, Note)
    if isinstance(one, Write):
        return "cache_write", one.key, str(len(one.value))
    return "publish", one.channel, str(len(one.payload))


def logged(server: RedisServer, stream: str) -> list[tuple[str, str, str, str]]:
    """Every entry: type, channel, bytes, source."""
    with server.client() as look:
        rows = look.xrange(stream)
    return [tuple(row[name] for name in ("type", "channel", "payload_size", "source")) for _, row in rows]  # type: ignore[misc]


def test_the_simulated_venue_lists_the_coins_that_are_kept() -> None:
    assert set(COINS) == {*COINS_US, *COINS_US_USD}


@pytest.mark.jumping
@pytest.mark.timeout(600)
@pytest.mark.parametrize("minutes", [11, pytest.param(30, marks=pytest.mark.soak)])
async def test_minutes_of_polling_stay_within_the_budget_and_only_what_fails_ages(  # type: ignore[no-untyped-def]
    minutes: int, run_daemon, redis_server: RedisServer, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = JumpingClock(NOW_S)
    seen = Watched(redis_server, clock, monkeypatch)
    recorded = write_candles(tmp_path / "candles", NOW_S)
    healths: list[tuple[str, str]] = []
    times_s: list[float] = []

    async with open_sim(["binance_us"], clock=clock, recording=recorded) as sim:
        asked = Asked(sim, clock)
        daemon = {"profile": "candle-cache", "environ": {"REDIS_URL": redis_server.url}, "clock": clock}

        async def look() -> None:
            with clock.held():
                part = (await it.get("/health")).json()["components"]["cache.binance_us"]
            healths.append((part["status"], part["reason"]))

        async with run_daemon(sim, **daemon) as it:
            await clock.until(155)  # every timeframe was refreshed once, the longest over half of five minutes
            await look()
            sim.fault("binance_us", "error500", symbol=FAILING, for_s=110)
            await clock.until(210)
            await look()
            await clock.until(302)
            sim.fault("binance_us", "candle_429", nth=1, count=1, retry_after=20)
            await clock.until(400)
            sim.fault("binance_us", "ban", for_s=45, retry_after=45)
            await clock.until(60.0 * minutes - 70)
            await look()
            times_s.append(clock.monotonic())
        times_s.append(clock.monotonic())
        async with run_daemon(sim, **daemon) as it:
            await clock.until(times_s[-1] + 70)

    stopped_s, again_s = times_s
    healthy = {key for key in KEYS if FAILING not in key}

    assert ([], set()) == (seen.wrong, KEYS - set(seen.writes))
    assert [] == sorted(key for key in KEYS if seen.writes[key][0] > 151)
    assert ["ok", "degraded", "ok"] == [word for word, _ in healths]
    assert FAILING in healths[1][1]
    # One that fails ages alone; a pause that the venue asks for is made up for within the cycle.
    assert {} == {key: age for key in healthy if (age := seen.age_max(key, 150, 300)) > EVERY_S[key] + 1}
    assert seen.age_max(f"market:ohlcv:{FAILING}:5m", 150, 300) > 110
    assert {} == {key: age for key in healthy if (age := seen.age_max(key, 150, stopped_s)) > TTL_S[key] - 3}
    # The log, and its mirror.
    assert seen.entries == logged(redis_server, STREAM)
    assert seen.entries == logged(redis_server, "market:log")
    # The venue.
    assert asked.weight_max() <= BUDGET
    assert {418, 429} == {one.status for one in asked.questions if one.silence_s}
    assert [] == asked.disobedient()
    assert asked.burst() <= 40
    assert len(asked.between(again_s, again_s + 10)) <= 30
    # What is told: each half minute, two minutes, five minutes.
    for name, its_pace in PACES.items():
        told_s = [at_s for at_s, _ in seen.updates[name] if at_s < stopped_s]
        assert [] == [pair for pair in pairwise(told_s) if not 0.4 < (pair[1] - pair[0]) / its_pace.every_s < 1.6]
        assert abs(len(told_s) - stopped_s / its_pace.every_s) <= 1.5
    dues = {frozenset(one.timeframes) for _, one in seen.updates["all"]}
    assert {due(PACES.values(), at_s) for at_s in (0, 30, 120, 300)} == dues


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@dataclass
class Roles:
    """The four roles, each a process of its own."""

    ports: dict[str, int]
    processes: dict[str, Process]

    @classmethod
    @asynccontextmanager
    async def running(cls, environ: dict[str, str], home: Path) -> AsyncIterator["Roles"]:
        ports = dict(zip(PROFILES, free_ports(len(PROFILES)), strict=True))
        async with AsyncExitStack() as stack:
            processes = {}
            for profile, port in ports.items():
                (where := home / profile).mkdir()
                its = {"HTTP_PORT": str(port), "MARKETD_DATA_DIR": str(where), "MARKETD_LOG_FORMAT": "json", **environ}
                processes[profile] = await stack.enter_async_context(run_program(its, where, "run", "--profile", profile))
            yield cls(ports, processes)

    async def healths(self) -> dict[str, tuple[int, str]]:
        """Of each the status code of /health, and how the cache's server is doing by its words."""
        found = {}
        async with httpx.AsyncClient() as client:
            for profile, port in self.ports.items():
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/health")
                except httpx.ConnectError:
                    return found
                found[profile] = answer.status_code, answer.json()["components"]["redis"]["status"]
        return found

    async def stop(self) -> set[int]:
        return {await one.stop() for one in self.processes.values()}


@asynccontextmanager
async def hearing(url: str, heard: dict[str, list[float]]) -> AsyncIterator[None]:
    """When something came on the cache's channels, by channel."""
    async with redis.asyncio.Redis.from_url(url) as client, client.pubsub() as channels, asyncio.TaskGroup() as group:

        async def hear() -> None:
            async for message in channels.listen():
                heard[message["channel"].decode()].append(time.monotonic())

        await channels.psubscribe("market:*")
        task = group.create_task(hear())
        yield
        task.cancel()


def sizes_amiss(server: RedisServer) -> set[str]:
    """Keys whose last entry in the log says another size than what stands there has; empty in the moments between writes."""
    said = {channel: int(size) for kind, channel, size, _ in logged(server, STREAM) if kind == "cache_write"}
    with server.client() as look, look.pipeline() as ask:
        for key in said:
            ask.strlen(key)
        return {key for key, size in zip(said, ask.execute(), strict=True) if size and size != said[key]}


def reads_amiss(entries: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Reads that say a size which that key never had before; what was not there has none."""
    had: dict[str, set[str]] = defaultdict(lambda: {"0"})
    amiss = []
    for entry in entries:
        kind, key, size, _ = entry
        if kind == "cache_write":
            had[key].add(size)
        elif kind == "cache_read" and size not in had[key]:
            amiss.append(entry)
    return amiss


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("spread", "watch_s"), [(0.05, 0), pytest.param(0.5, 340, marks=pytest.mark.soak)])
async def test_the_roles_as_processes_live_off_the_one_that_asks_the_venue(
    spread: float, watch_s: int, server: RedisServer, tmp_path: Path
) -> None:
    heard: dict[str, list[float]] = defaultdict(list)

    def lacking(keys: set[str]) -> Callable[[], set[str]]:
        return lambda: keys - set(server.command("KEYS", "market:*"))

    def nothing(missing: set[str]) -> bool:
        return not missing

    def everywhere(code: int, word: str) -> Callable[[object], bool]:
        return lambda found: found == dict.fromkeys(PROFILES, (code, word))

    recorded = write_candles(tmp_path / "candles", int(time.time()))
    async with open_sim(["binance_us"], recording=recorded) as sim:
        environ = {**sim.env(), "REDIS_URL": server.url, "MARKETD__CACHE__SPREAD": str(spread)}
        async with Roles.running(environ, tmp_path) as roles:
            async with hearing(server.url, heard):
                await eventually(lacking(KEYS), 240, nothing)
                with server.client() as look:
                    lives = {key: look.pttl(key) / 1000 for key in KEYS}
                await eventually(lacking(ANALYSED), holds=nothing)
                await eventually(lambda: CHANNELS - set(heard), holds=nothing)
                await eventually(lambda: sizes_amiss(server), holds=nothing)
                await asyncio.sleep(watch_s)
            entries = logged(server, STREAM)
            await eventually(roles.healths, holds=everywhere(200, "ok"))
            server.kill()
            await eventually(roles.healths, holds=everywhere(503, "unhealthy"))
            server.start()
            await eventually(roles.healths, holds=everywhere(200, "ok"))
            codes = await roles.stop()
        visits = sim.visits.all

    assert {0} == codes
    assert {"market-data", "dashboard", "ta-service", "trader-bot"} == {source for *_, source in entries}
    assert {"cache_write", "cache_read", "publish"} <= {kind for kind, *_ in entries}
    assert [] == reads_amiss(entries)
    assert len(entries) <= 10_200  # cut by whole nodes of the stream
    assert {} == {key: left_s for key, left_s in lives.items() if not TTL_S[key] - EVERY_S[key] - 5 < left_s <= TTL_S[key]}
    apart_s = {name: [later - earlier for earlier, later in pairwise(heard[f"market:update:{name}"])] for name in PACES}
    assert {} == {
        name: found for name, found in apart_s.items() if any(abs(one / PACES[name].every_s - 1) > 0.1 for one in found)
    }
    assert sum(map(len, apart_s.values())) >= (10 + 2 + 1 if watch_s else 0)
    assert {("rest", AGENT)} == {(one.kind, one.agent) for one in visits}
    assert {"exchangeInfo", "klines", "ticker/24hr"} == {
        path.removeprefix("/binance_us/api/v3/") for one in visits for path in one.paths
    }


SMALL = {"MARKETD__CACHE__SYMBOLS": "BTC,ETH,ETC", "MARKETD__CACHE__TIMEFRAMES": "5m"}


async def test_health_says_when_the_venue_or_redis_goes_away_and_comes_back(run_daemon, server: RedisServer) -> None:  # type: ignore[no-untyped-def]
    environ = {**SMALL, "REDIS_URL": server.url}
    async with (
        open_sim(["binance_us"], seed=3) as sim,
        run_daemon(sim, profile="candle-cache", environ=environ, clock=FastClock(10)) as it,
    ):

        async def seen() -> tuple[int, str, str]:
            answer = await it.get("/health")
            parts = answer.json()["components"]
            return answer.status_code, parts["redis"]["status"], parts["cache.binance_us"]["status"]

        await eventually(seen, holds=lambda found: found == (200, "ok", "ok"))
        server.kill()
        await eventually(seen, holds=lambda found: found[:2] == (503, "unhealthy") and found[2] != "unhealthy")
        server.start()
        await eventually(seen, holds=lambda found: found == (200, "ok", "ok"))
        sim.fault("binance_us", "refuse", status=503)
        await eventually(seen, holds=lambda found: found == (503, "ok", "unhealthy"))
        sim.heal()

        await eventually(seen, holds=lambda found: found == (200, "ok", "ok"))


async def test_a_log_that_cannot_be_written_stops_no_role(run_daemon, redis_server: RedisServer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    environ = {**SMALL, "REDIS_URL": redis_server.url} | {
        f"MARKETD__{section}__TIMEFRAMES": "1h" for section in ("CACHE", "ANALYSIS")
    }
    results = {"market:scanner", *(f"market:analysis:{symbol}:1h" for symbol in ("BTCUSDT", "ETHUSDT", "ETCUSD"))}
    redis_server.command("SET", STREAM, "no stream")
    async with (
        open_sim(["binance_us"], seed=3) as sim,
        run_daemon(sim, profile="scanner", environ=environ, data_dir=tmp_path / "scanner") as scanner,
        run_daemon(sim, profile="ta-service", environ=environ, data_dir=tmp_path / "ta") as ta,
        run_daemon(sim, profile="candle-cache", environ=environ, data_dir=tmp_path / "cache", clock=FastClock(40)) as poller,
    ):
        daemons = (poller, scanner, ta)
        await eventually(lambda: results - set(redis_server.command("KEYS", "market:*")), holds=lambda missing: not missing)
        healths = [(await one.get("/health")).status_code for one in daemons]
        asked = [(await one.get("/api/redis/log")).status_code for one in daemons]
        lost = [sum(_lost(one)) for one in daemons]
        mirrored = len(logged(redis_server, "market:log"))
        redis_server.command("DEL", STREAM)
        await eventually(
            lambda: {source for *_, source in logged(redis_server, STREAM)},
            holds=lambda sources: sources == {"market-data", "dashboard", "ta-service"},
        )
        back = [row["type"] for row in (await ta.get("/api/redis/log?source=ta-service")).json()]

    assert ([200] * 3, [503] * 3) == (healths, asked)
    assert all(lost)
    assert mirrored >= 6  # three coins' candles and prices
    assert "cache_read" in back


def _lost(daemon: Running) -> list[float]:
    """Entries that each stream did not take."""
    return [one.value for one in daemon.views.metrics.log_lost.collect()[0].samples if one.name.endswith("_total")]
