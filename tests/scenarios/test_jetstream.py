"""Servers die under load: the stream, read back, has every trade once and in order."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest

from tests.daemons import eventually
from tests.nats_servers import NatsCluster, NatsServer
from tests.scenarios.streams import SYMBOLS, collector, load, trades_of, wrongs


async def leader_of(cluster: NatsCluster) -> str:
    """The name of the server that leads the stream."""
    client = await nats.connect([server.url for server in cluster.servers if server.is_running], max_reconnect_attempts=-1)
    try:
        for _ in range(60):
            try:
                info = await client.jetstream(timeout=1).stream_info("MD_EVENTS")
            except (nats.errors.Error, TimeoutError):
                continue
            if info.cluster is not None and info.cluster.leader:
                return str(info.cluster.leader)
            await asyncio.sleep(0.2)
    finally:
        await client.close()
    raise AssertionError("no leader within a minute")


async def step_down(cluster: NatsCluster) -> None:
    """As at an upgrade: another server is to lead the stream."""
    client = await nats.connect(cluster.url.split(","))
    try:
        await client.request("$JS.API.STREAM.LEADER.STEPDOWN.MD_EVENTS", b"", timeout=5)
    finally:
        await client.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kills", "collectors"),
    [(3, 1), (2, 2), pytest.param(10, 1, marks=pytest.mark.soak), pytest.param(10, 2, marks=pytest.mark.soak)],
)
async def test_kills_of_the_server_cost_nothing(nats_server: NatsServer, tmp_path: Path, kills: int, collectors: int) -> None:
    made, stop, dice = dict.fromkeys(SYMBOLS, 0), asyncio.Event(), random.Random(kills)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(collector(nats_server, tmp_path / str(one), 1)) for one in range(collectors)]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(load([bus for bus, _ in opened], stop, made))
        for _ in range(kills):
            there = opened[0][1].delivered + dice.randint(500, 3000)
            await eventually(lambda enough=there: opened[0][1].delivered > enough)
            nats_server.kill()
            await asyncio.sleep(dice.uniform(0, 0.5))
            nats_server.start()
        stop.set()
        await eventually(lambda: all(state.delivered == sum(made.values()) for _, state in opened))

    assert {} == wrongs(await trades_of(nats_server.url), made)


async def disturbed(cluster: NatsCluster, tmp_path: Path, times: int, collectors: int, seed: int) -> None:
    made, stop, dice = dict.fromkeys(SYMBOLS, 0), asyncio.Event(), random.Random(seed)

    async def kill(name: str) -> None:
        cluster[name].kill()
        await asyncio.sleep(dice.uniform(0.5, 3))
        await asyncio.to_thread(cluster[name].start)

    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(collector(cluster, tmp_path / str(one), 3)) for one in range(collectors)]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(load([bus for bus, _ in opened], stop, made))
        for number in range(times):
            there = opened[0][1].delivered + dice.randint(500, 3000)
            await eventually(lambda enough=there: opened[0][1].delivered > enough)
            leader = await leader_of(cluster)
            follower = dice.choice([server.name for server in cluster.servers if server.name != leader])
            # The leader, one that follows, or nobody dies, and the leader goes on elsewhere.
            what: list[Callable[[], object]] = [
                lambda name=leader: kill(name),
                lambda: step_down(cluster),
                lambda name=follower: kill(name),
            ]
            await what[number % 3]()  # type: ignore[misc]
        stop.set()
        await eventually(lambda: all(state.delivered == sum(made.values()) for _, state in opened), within_s=120)

    assert {} == wrongs(await trades_of(cluster.url), made)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("collectors", [1, 2])
async def test_a_cluster_that_loses_servers_and_leaders_loses_nothing(
    nats_cluster: NatsCluster, tmp_path: Path, collectors: int
) -> None:
    await disturbed(nats_cluster, tmp_path, times=3, collectors=collectors, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("collectors", [1, 2])
@pytest.mark.parametrize("seed", [11, 12])
async def test_fifteen_losses_of_a_cluster_cost_nothing(
    nats_cluster: NatsCluster, tmp_path: Path, seed: int, collectors: int
) -> None:
    await disturbed(nats_cluster, tmp_path, times=15, collectors=collectors, seed=seed)
