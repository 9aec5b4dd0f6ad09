"""Redis killed, out of memory, slow: the streams end with every trade once and in order, and /health is true throughout."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from marketd.api.state import Component
from marketd.sim.server import Sim, open_sim
from tests.daemons import Running, eventually
from tests.redis_server import RedisServer

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
ON = {"MARKETD__DISCOVERY__ENABLED": "false", "MARKETD__EXCHANGES__BINANCE__SYMBOLS": ",".join(SYMBOLS)}
RATE = 1500  # trades a second
KEPT = 1_000_000


class Scene:
    """A daemon of the profile trade-streams, the market it listens to, and the server it writes to."""

    def __init__(self, running: Running, sim: Sim, server: RedisServer) -> None:
        self.running, self.sim, self.server = running, sim, server

    def length(self, symbol: str = SYMBOLS[0]) -> int:
        return int(self.server.command("XLEN", f"trades:{symbol}"))

    def health(self) -> Component:
        return self.running.views.health.components()["redis"]

    async def more(self, count: int = 300) -> None:
        """So many more trades arrive in a stream."""
        before = await asyncio.to_thread(self.length)
        await eventually(lambda: self.length() >= before + count)

    async def is_well(self) -> None:
        await eventually(lambda: self.running.views.health.components()["redis"].status == "ok")
        answer = await self.running.get("/health")

        assert (200, "ok") == (answer.status_code, answer.json()["status"])

    async def is_not(self, reason: str) -> None:
        """And what is not said is not so: 503 with the reason."""
        await eventually(lambda: reason in self.running.views.health.components()["redis"].reason)
        answer = await self.running.get("/health")

        assert (503, "unhealthy") == (answer.status_code, answer.json()["components"]["redis"]["status"])


@asynccontextmanager
async def scene(run_daemon: Callable[..., object], server: RedisServer, seed: int, **environ: str) -> AsyncIterator[Scene]:
    """On leaving the daemon has stopped; then each stream holds what the venue made, from its first entry to its last."""
    settings = {**ON, "REDIS_URL": server.url, "STREAM_MAXLEN": str(KEPT), **environ}
    async with open_sim(["binance"], rate=RATE, seed=seed) as sim:
        async with run_daemon(sim, profile="trade-streams", environ=settings) as running:  # type: ignore[attr-defined]
            here = Scene(running, sim, server)
            await here.more(100)
            await here.is_well()
            yield here
        for symbol in SYMBOLS:
            with server.client() as client:
                found = [(one["trade_id"], one["price"], one["qty"]) for _, one in client.xrange(f"trades:{symbol}")]
            first = int(found[0][0])
            made = [
                (one.trade_id, one.price, one.size) for one in sim.venue("binance").trades(symbol) if int(one.trade_id) >= first
            ]

            assert made[: len(found)] == found
            assert len(made) - len(found) < 2 * RATE  # those of the last moment, after the daemon's end


async def kill(run_daemon: Callable[..., object], kills: int, seed: int) -> None:
    with RedisServer() as server:
        async with scene(run_daemon, server, seed) as here:
            for _ in range(kills):
                await asyncio.to_thread(server.kill)
                await here.is_not("Connection refused")
                await asyncio.to_thread(server.start)
                await here.is_well()
                await here.more()


@pytest.mark.timeout(180)
async def test_two_kills_cost_and_double_nothing(run_daemon) -> None:
    await kill(run_daemon, 2, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
async def test_ten_kills_cost_and_double_nothing(run_daemon, seed: int) -> None:
    await kill(run_daemon, 10, seed)


@pytest.mark.timeout(180)
async def test_a_server_restarted_at_once_again_and_again_holds_each_trade_once(run_daemon) -> None:
    with RedisServer() as server:
        async with scene(run_daemon, server, seed=2) as here:
            for _ in range(5):
                await asyncio.to_thread(server.restart)
                await here.more(50)
            await here.is_well()


@pytest.mark.timeout(180)
async def test_out_of_memory_is_said_and_over_when_there_is_room_again(run_daemon) -> None:
    with RedisServer(maxmemory_policy="noeviction") as server:
        async with scene(run_daemon, server, seed=3) as here:
            server.command("CONFIG", "SET", "maxmemory", server.command("INFO", "memory")["used_memory"] // 2)
            await here.is_not("out of memory: maxmemory is reached")
            before = here.length()
            await eventually(lambda: len(here.running.views.bus.subscriptions[0]) > 200)

            assert before == here.length()

            server.command("CONFIG", "SET", "maxmemory", 0)
            await here.is_well()
            await here.more()


@pytest.mark.timeout(180)
async def test_a_server_that_says_nothing_for_a_while_is_waited_for(run_daemon) -> None:
    with RedisServer() as server:
        async with scene(run_daemon, server, seed=4) as here:
            for _ in range(2):
                server.freeze()
                await here.is_not("no answer")
                server.thaw()
                await here.is_well()
                await here.more()
            slow = asyncio.create_task(asyncio.to_thread(server.command, "DEBUG", "SLEEP", "4"))
            await here.is_not("no answer")
            await slow
            await here.is_well()
            await here.more()


@pytest.mark.timeout(180)
async def test_what_waits_goes_to_disk_and_comes_back_in_order(run_daemon) -> None:
    with RedisServer() as server:
        async with scene(run_daemon, server, seed=5, MARKETD__REDIS__CAPACITY="200") as here:
            await asyncio.to_thread(server.kill)
            await eventually(lambda: here.running.views.bus.subscriptions[0].spill)
            await eventually(lambda: len(here.running.views.bus.subscriptions[0].spill) > 2000)
            await asyncio.to_thread(server.start)
            await here.is_well()
            await eventually(lambda: not here.running.views.bus.subscriptions[0].spill)


@pytest.mark.timeout(180)
async def test_a_stream_that_cannot_be_written_holds_up_its_own_pair_only(run_daemon) -> None:
    with RedisServer() as server:
        async with scene(run_daemon, server, seed=7) as here:
            stream = f"trades:{SYMBOLS[1]}"
            server.command("RENAME", stream, "kept")
            server.command("SET", stream, "x")
            await eventually(lambda: here.health().status == "degraded")
            reason = here.health().reason
            await here.more(1000)
            answer = await here.running.get("/health")
            server.command("RENAME", "kept", stream)
            await here.is_well()

        assert reason.startswith(f"{stream} holds ")
        assert (200, "degraded") == (answer.status_code, answer.json()["components"]["redis"]["status"])


@pytest.mark.timeout(180)
async def test_a_daemon_that_ends_while_a_pair_waits_and_redis_takes_nothing_leaves_at_once_and_loses_nothing(run_daemon) -> None:
    with RedisServer(maxmemory_policy="noeviction") as server:
        settings = {**ON, "REDIS_URL": server.url, "STREAM_MAXLEN": str(KEPT), "MARKETD__SINKS__DELIVERY__DRAIN_S": "100"}
        stream = f"trades:{SYMBOLS[1]}"
        async with open_sim(["binance"], rate=RATE, seed=8) as sim:
            async with run_daemon(sim, profile="trade-streams", environ=settings) as running:
                here = Scene(running, sim, server)
                await here.more(300)
                server.command("RENAME", stream, "kept")
                server.command("SET", stream, "x")
                await eventually(lambda: here.health().status == "degraded")
                server.command("CONFIG", "SET", "maxmemory", server.command("INFO", "memory")["used_memory"] // 2)
                await here.is_not("out of memory")
            server.command("CONFIG", "SET", "maxmemory", 0)
            server.command("RENAME", "kept", stream)
            async with run_daemon(sim, profile="trade-streams", environ=settings) as running:
                await Scene(running, sim, server).more(2000)
                await Scene(running, sim, server).is_well()
                await eventually(lambda: not running.views.health.components()["redis"].reason.endswith("wait"))
            for symbol in SYMBOLS:
                with server.client() as client:
                    found = [int(one["trade_id"]) for _, one in client.xrange(f"trades:{symbol}")]

                assert list(range(found[0], found[0] + len(found))) == found


@pytest.mark.timeout(180)
async def test_a_daemon_that_ends_while_redis_is_away_goes_on_from_its_spill(run_daemon) -> None:
    with RedisServer() as server:
        settings = {**ON, "REDIS_URL": server.url, "STREAM_MAXLEN": str(KEPT), "MARKETD__SINKS__DELIVERY__DRAIN_S": "0.5"}
        async with open_sim(["binance"], rate=RATE, seed=6) as sim:
            async with run_daemon(sim, profile="trade-streams", environ=settings) as running:
                await Scene(running, sim, server).more(300)
                await asyncio.to_thread(server.kill)
                await eventually(lambda: len(running.views.bus.subscriptions[0]) > 500)
            await asyncio.to_thread(server.start)
            async with run_daemon(sim, profile="trade-streams", environ=settings) as running:
                await Scene(running, sim, server).more(2000)
            for symbol in SYMBOLS:
                with server.client() as client:
                    found = [int(one["trade_id"]) for _, one in client.xrange(f"trades:{symbol}")]

                assert list(range(found[0], found[0] + len(found))) == found
