"""Keys spoilt and mended, connections cut, server killed, sinks started again, at any moment: each trade once and in order."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.model.events import Trade
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sinks.redis_streams import RedisStreams
from tests.redis_server import RedisServer
from tests.samples import trade

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
RUNS, WRITES = 3, 40
SPOIL = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end redis.call('SET', KEYS[1], '1')"
MEND = "redis.call('DEL', KEYS[1]) if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end"


class Trouble:
    """What may happen to a server, by chance. A stream is put aside in one step and put back in one, so none of it is lost."""

    def __init__(self, server: RedisServer, chance: Random) -> None:
        self._server, self._chance = server, chance
        self._spoilt: set[str] = set()
        self.is_over = False

    async def run(self) -> None:
        while not self.is_over:
            await asyncio.sleep(self._chance.random() * 0.03)
            await asyncio.to_thread(self._one)

    def mend_all(self) -> None:
        for symbol in sorted(self._spoilt):
            self._move(MEND, symbol)
        self._spoilt.clear()

    def _one(self) -> None:
        what, symbol = self._chance.random(), self._chance.choice(SYMBOLS)
        if what < 0.1:
            self._server.restart()
        elif what < 0.2:
            self._server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        elif symbol in self._spoilt:
            self._move(MEND, symbol)
            self._spoilt.discard(symbol)
        else:
            self._move(SPOIL, symbol)
            self._spoilt.add(symbol)

    def _move(self, script: str, symbol: str) -> None:
        self._server.command("EVAL", script, 2, f"trades:{symbol}", f"kept:{symbol}")


async def until_taken(sink: RedisStreams, batch: Sequence[Trade] | None = None) -> None:
    """Written, or where nothing is given: opened."""
    while True:
        try:
            await (sink.__aenter__() if batch is None else sink.write(batch))
            return
        except DeliveryError:
            await asyncio.sleep(0.01)


async def tend(sink: RedisStreams, trouble: Trouble) -> None:
    while not trouble.is_over or sink.waiting:
        await asyncio.sleep(0.02)
        with suppress(DeliveryError):
            await sink.release()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 10))])
async def test_whatever_is_spoilt_and_whenever_each_trade_is_there_once_and_in_order(tmp_path: Path, seed: int) -> None:
    chance, next_id = Random(seed), 1
    with RedisServer() as server:
        config = RedisConfig(url=SecretUrl(server.url), enabled=True, stream_maxlen=1_000_000)
        trouble = Trouble(server, chance)
        for run in range(RUNS):
            sink = RedisStreams(config, RedisLink(config, "marketd-test", SystemClock()), SystemClock(), tmp_path)
            await until_taken(sink)
            live = SystemClock().now_ns() + 1
            trouble.is_over = False
            async with asyncio.TaskGroup() as tasks:
                happening = tasks.create_task(trouble.run())
                tending = tasks.create_task(tend(sink, trouble))
                again = range(max(1, next_id - chance.randint(0, 400)), next_id)  # by a repair
                batches = [[trade(one, symbol=symbol, repaired=True, ts_recv=live) for one in again for symbol in SYMBOLS]]
                for _ in range(WRITES):
                    ids = range(next_id, next_id + chance.choice([1, 10, 100, 700]))
                    batches.append([trade(one, symbol=symbol, ts_recv=live) for one in ids for symbol in SYMBOLS])
                    next_id = ids.stop
                for batch in batches:
                    await until_taken(sink, batch)
                trouble.is_over = True
                await happening
                if run + 1 < RUNS:
                    tending.cancel()  # what waits is left to the next
                else:
                    trouble.mend_all()
            await sink.__aexit__(None, None, None)
        with server.client() as client:
            found = {symbol: [int(one["trade_id"]) for _, one in client.xrange(f"trades:{symbol}")] for symbol in SYMBOLS}

    assert {symbol: list(range(1, next_id)) for symbol in SYMBOLS} == found
    assert [] == list(tmp_path.iterdir())
