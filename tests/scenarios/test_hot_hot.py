"""Two collectors on the same symbols into one stream, either of them killed: each trade and closed candle is there once."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from marketd.clock import SystemClock
from marketd.model.events import Candle
from marketd.model.wire import decode
from marketd.sim.server import Sim, open_sim
from tests.daemons import eventually
from tests.nats_servers import NatsServer, kept
from tests.scenarios.processes import Process, ledger, run_process, stored
from tests.scenarios.streams import disorder, trades_of

VENUE = "binance"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTE = 60_000_000_000


async def closed_candles(url: str) -> Counter[tuple[str, int, int]]:
    """Symbol, open time and revision of the closed ones in the stream."""
    found = [decode(one.data) for one in await kept(url, "md.events.candle.*")]
    return Counter((one.symbol, one.open_time, one.revision) for one in found if isinstance(one, Candle) and one.closed)


async def hot_hot(sim: Sim, server: NatsServer, tmp_path: Path, seconds: float, seed: int) -> None:
    """Kill one or the other for so long; then the stream is what the venue has."""
    dice, loop = random.Random(seed), asyncio.get_running_loop()
    environ = {**sim.env(), "NATS_ENABLED": "true", "NATS_URL": server.url, "USE_JETSTREAM": "true"}
    arguments = ("--provider", VENUE, "--channels", "trade,candle")
    running: list[Process] = []
    kills = 0

    async def collect(number: int, stop: asyncio.Event) -> None:
        """One collector, started again when it was killed."""
        (tmp_path / str(number)).mkdir()
        while not stop.is_set():
            async with run_process(environ, tmp_path / str(number) / "data", *arguments) as daemon:
                running[number] = daemon
                await daemon.process.wait()

    stop = asyncio.Event()
    running[:] = [None, None]  # type: ignore[list-item]
    async with asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(collect(number, stop))
        async with asyncio.timeout(60):
            while True:
                if await _count(server) >= 200:
                    break
                await asyncio.sleep(0.3)
        until = loop.time() + seconds
        while loop.time() < until:
            await asyncio.sleep(dice.uniform(2, 5))
            victim = dice.randrange(2)
            log = tmp_path / str(victim) / "daemon.log"
            said = log.read_text().count("daemon.started")
            running[victim].kill()
            kills += 1
            # The other one carries on alone meanwhile; two at once would be an outage of both.
            await eventually(lambda log=log, said=said: log.read_text().count("daemon.started") > said)
        stop.set()
        for daemon in running:
            assert await daemon.stop() == 0
    assert kills
    trades = await trades_of(server.url)
    for symbol in SYMBOLS:
        ids = trades[VENUE, symbol]
        made = [int(one.trade_id) for one in sim.venue(VENUE).trades(symbol)]

        assert [one for one in made if ids[0] <= one <= ids[-1]] == sorted(ids)
        assert 0 == disorder(ids)
    candles = await closed_candles(server.url)

    assert {one for one, count in candles.items() if count != 1} == set()
    for symbol in SYMBOLS:
        opened = sorted(open_time for one, open_time, _ in candles if one == symbol)

        assert opened
        assert opened == list(range(opened[0], opened[-1] + 1, MINUTE))


async def _count(server: NatsServer) -> int:
    try:
        return len(await kept(server.url, "md.events.trade.*"))
    except Exception:  # the stream is not there yet
        return 0


@pytest.mark.timeout(240)
async def test_two_collectors_of_which_either_dies_leave_each_trade_and_candle_once(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    now = SystemClock().now_ns()
    before_a_minute = now - now % MINUTE - 15 * 10**9
    async with open_sim([VENUE], rate=300, seed=5, now=before_a_minute) as sim:
        await hot_hot(sim, nats_server, tmp_path, seconds=20, seed=5)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_five_minutes_of_kills_leave_each_trade_and_candle_once(nats_server: NatsServer, tmp_path: Path) -> None:
    async with open_sim([VENUE], rate=600, seed=6) as sim:
        await hot_hot(sim, nats_server, tmp_path, seconds=300, seed=6)


@pytest.mark.timeout(240)
async def test_one_collector_alone_makes_up_for_its_own_kills(nats_server: NatsServer, tmp_path: Path) -> None:
    """What it had in memory is asked for again from where the stream ends, though the database is further."""
    environ = {"NATS_ENABLED": "true", "NATS_URL": nats_server.url, "USE_JETSTREAM": "true"}
    async with open_sim([VENUE], rate=600, seed=7) as sim:
        for kill in range(3):
            async with run_process(
                {**sim.env(), **environ}, tmp_path / "data", "--provider", VENUE, "--channels", "trade"
            ) as daemon:
                held = len(stored(tmp_path / "data", VENUE, SYMBOLS[0]))
                await eventually(lambda held=held: len(stored(tmp_path / "data", VENUE, SYMBOLS[0])) > held + 100)
                nats_server.kill() if kill == 0 else None
                await eventually(lambda held=held: len(stored(tmp_path / "data", VENUE, SYMBOLS[0])) > held + 300)
                daemon.kill()
                await daemon.ended()
                nats_server.start()
        async with run_process({**sim.env(), **environ}, tmp_path / "data", "--provider", VENUE, "--channels", "trade") as daemon:
            held = len(stored(tmp_path / "data", VENUE, SYMBOLS[0]))
            await eventually(lambda: len(stored(tmp_path / "data", VENUE, SYMBOLS[0])) > held + 300)
            await eventually(
                lambda: (
                    not any(
                        state in ("missing", "repairing")
                        for one in SYMBOLS
                        for state, *_ in ledger(tmp_path / "data", VENUE, one)
                    )
                )
            )
            assert await daemon.stop() == 0
        trades = await trades_of(nats_server.url)
        for symbol in SYMBOLS:
            ids = trades[VENUE, symbol]
            made = [int(one.trade_id) for one in sim.venue(VENUE).trades(symbol)]

            assert [one for one in made if ids[0] <= one <= ids[-1]] == sorted(ids)
