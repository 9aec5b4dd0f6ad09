"""A writer killed at a random moment: no torn line, no duplicate, nothing accepted is gone."""

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sinks.test_contract import DURABLE, ids_in

# Publishes trades 1, 2, 3 ... and says after each batch how many the sink has taken. It goes on after the last one that
# it had published, as a feed does that asks the venue for what came since the high-water mark.
WRITER = """
import asyncio, sys
from pathlib import Path
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.sinks.delivery import run_sinks
from tests.samples import trades
from tests.sinks.test_contract import SINKS

async def main(name, data_dir):
    clock, bus = SystemClock(), Bus(Metrics())
    sink = SINKS[name](data_dir, clock)
    sink.capacity = 64  # so that the spill is used, too
    async with run_sinks([sink], bus, clock, data_dir=data_dir) as view:
        state = view.states[0]
        mark = view.progress().get(("binance", "BTCUSDT"))
        number = start = int(mark.trade_id) if mark else 0
        before = state.delivered  # from the spill
        said = before
        while True:
            for _ in range(12):
                bus.publish(trades(number + 1, number + 37, ts_recv=clock.now_ns()))
                number += 37
            await clock.sleep(0.02)
            if state.delivered > said:
                said = state.delivered
                print(start + said - before, flush=True)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


def run_and_kill(name: str, data_dir: Path, after_s: float) -> int:
    """The last trade that the writer said was stored."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, name, str(data_dir)], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).strip().isdigit():  # until it runs
            assert line, "the writer ended by itself"
        said = line
        select.select([], [], [], after_s)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
    whole = [line for line in said.decode().split("\n")[:-1] if line.isdecimal()]
    return int(whole[-1])


@pytest.mark.parametrize("name", DURABLE)
def test_after_each_kill_everything_said_to_be_stored_is_there_once(name: str, tmp_path: Path) -> None:
    kill_often(name, tmp_path, times=3, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", DURABLE)
def test_after_fifty_kills_everything_said_to_be_stored_is_there_once(name: str, tmp_path: Path) -> None:
    kill_often(name, tmp_path, times=50, seed=2)


def kill_often(name: str, data_dir: Path, *, times: int, seed: int) -> None:
    chance = random.Random(seed)
    for turn in range(times):
        accepted = run_and_kill(name, data_dir, chance.uniform(0, 0.3))
        path = data_dir / "events.jsonl"
        if name == "jsonl":  # what a restart does before anything else
            data = path.read_bytes()
            path.write_bytes(data[: data.rfind(b"\n") + 1])
        found = [int(trade_id) for trade_id in ids_in(data_dir, name)]

        assert sorted(set(found)) == sorted(found), f"seed {seed}, kill {turn}: written twice"
        assert list(range(1, accepted + 1)) == sorted(found)[:accepted], f"seed {seed}, kill {turn}: lost"
