"""What a browser's test needs beside the daemon: simulated venues whose faults it sets, and a Redis server.

    python -m tests.e2e.world --venues binance [--redis] [--coins]

A process of its own, since the test is another program. It prints one line of JSON, the variables that point marketd at it, and
then answers lines of JSON: `{"fault": "garbage", "venue": "binance", "symbol": "BTCUSDT"}`, `{"heal": null}`,
`{"redis": ["XLEN", "redis:message_log"]}`, and `{"trade": "bought 1"}`, which a program of the user's own would note in the
message log. It ends with its input.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from marketd.client.message_log import SyncMessageLog
from marketd.sim import Sim, open_sim
from tests.redis_server import RedisServer
from tests.scenarios.polled_venue import write_candles


def answered(asked: dict[str, Any], sim: Sim, server: RedisServer | None) -> object:
    """Does what a line says."""
    match asked:
        case {"fault": name, "venue": venue, **settings}:
            return len(sim.fault(venue, name, **settings))
        case {"heal": venue}:
            return sim.heal(venue)
        case {"redis": words} if server is not None:
            return server.command(*words)
        case {"trade": summary} if server is not None:
            with Redis.from_url(server.url) as client, SyncMessageLog(client, "trader-bot") as log:
                return log.note("trade", "BTCUSDT", summary)
    raise ValueError(f"no such line: {asked}")


async def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--venues", required=True)
    wanted.add_argument("--redis", action="store_true")
    wanted.add_argument("--coins", action="store_true", help="candles of every coin of Binance.US, from a file")
    wanted.add_argument("--rate", type=float, default=20.0, help="market events a second and venue")
    given = wanted.parse_args()
    with ExitStack() as around:
        home = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="marketd-world-")))
        recording = await asyncio.to_thread(write_candles, home / "candles", int(time.time())) if given.coins else None
        server = around.enter_context(RedisServer()) if given.redis else None
        async with open_sim(given.venues.split(","), rate=given.rate, recording=recording) as sim:
            say({**sim.env(), **({} if server is None else {"REDIS_URL": server.url})})
            while line := await asyncio.to_thread(sys.stdin.readline):
                say(answered(json.loads(line), sim, server))


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
