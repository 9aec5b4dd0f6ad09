"""SIGTERM under full load: sockets close, what was accepted is written, and both durable sinks end with the same trades."""

import random
from pathlib import Path

import pytest

from marketd.sim.server import open_sim
from tests.daemons import eventually
from tests.scenarios.processes import run_process, stored, written

SYMBOLS = ("BTCUSDT", "ETHUSDT")


async def stop_under_load(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    data_dir = tmp_path / "data"
    async with open_sim(["binance", "bybit"], rate=4000, seed=seed) as sim:
        async with run_process(sim.env(), data_dir) as daemon:
            enough = dice.randint(200, 4000)
            await eventually(lambda: len(stored(data_dir, "binance", "BTCUSDT")) > enough)

            assert await daemon.stop() == 0
        for symbol in SYMBOLS:
            rows = stored(data_dir, "binance", symbol)
            ids = [int(row[0]) for row in rows]
            truth = {(one.trade_id, one.price, one.size) for one in sim.venue("binance").trades(symbol)}

            assert sorted(written(data_dir, "binance", symbol), key=lambda row: int(row[0])) == rows
            assert ids == list(range(ids[0], ids[-1] + 1))
            assert set(rows) <= truth


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_stop_under_load_loses_nothing(tmp_path: Path, seed: int) -> None:
    await stop_under_load(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(100, 120))
async def test_twenty_stops_under_load_lose_nothing(tmp_path: Path, seed: int) -> None:
    await stop_under_load(tmp_path, seed)
