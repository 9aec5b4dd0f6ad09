"""Trades into Redis Streams: the sink against packed commands on a bare socket and against redis-py's asyncio pipeline.

The server keeps nothing on disk here: what it costs to keep it is the same for every side.
"""

import asyncio
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hiredis
import uvloop

from bench.rounds import Row, absolute, faster, interleave
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sinks.delivery import run_sinks
from marketd.sinks.redis_entry import Entries
from marketd.sinks.redis_streams import RedisStreams
from marketd.sinks.sink import Latencies

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from tests.redis_server import RedisServer

COUNT = 20_000
PER_WRITE = 4000  # trades, as the delivery hands them over under load
PER_PIPELINE = 500
IN_FLIGHT = 8  # packed writes before their answers, on the bare socket
SYMBOLS = 50
RATES = (5_000, 20_000, 50_000)
SECONDS = 5.0
UNUSED = Path("unused")  # where trades of streams that cannot be written would wait
START = 1_700_000_000_000_000_000
NOW = 2 * START  # received after the sink was opened, as live trades are


def run() -> list[Row]:
    from tests.redis_server import RedisServer

    with RedisServer(appendonly="no") as server:
        rows = rate_rows(server)
    with RedisServer(appendonly="no") as server:
        return [*rows, *latency_rows(server)]


def trades(first: int, count: int, ts_recv: int | None = None) -> list[Event]:
    """Of many symbols in turn, each with the text of its venue."""
    return [_trade(number, ts_recv or NOW) for number in range(first, first + count)]


def _trade(number: int, ts_recv: int) -> Trade:
    symbol, ms = f"S{number % SYMBOLS}USDT", START // 1_000_000 + number
    raw = (
        f'{{"e":"trade","E":{ms},"s":"{symbol}","t":{number},"p":"37123.45000000","q":"0.00150000","T":{ms},"m":false,"M":true}}'
    )
    return Trade("binance", symbol, ms * 1_000_000, ts_recv, "37123.45000000", "0.00150000", "buy", str(number), False, raw)


def rate_rows(server: "RedisServer") -> list[Row]:
    from redis.asyncio import Redis

    packed = [Entries(10_000).pack(trades(at, PER_PIPELINE)) for at in range(1, COUNT, PER_PIPELINE)]  # type: ignore[arg-type]
    some = trades(1, COUNT)
    prepared = [[trades(at, PER_WRITE) for at in range(first, first + COUNT, PER_WRITE)] for first in range(1, 9 * COUNT, COUNT)]
    config = RedisConfig(url=SecretUrl(server.url), enabled=True)
    sink = RedisStreams(config, RedisLink(config, "bench", SystemClock()), SystemClock(), UNUSED)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        client = Redis.from_url(server.url)
        runner.run(sink.__aenter__())

        async def ours() -> None:
            for batch in prepared.pop(0):
                await sink.write(batch)

        sides = {
            "ours": lambda: runner.run(ours()),
            "raw": lambda: _raw(server, packed),
            "pipeline": lambda: runner.run(_pipeline(client, some)),
        }
        took = interleave(sides, rounds=8)
        runner.run(sink.__aexit__(None, None, None))
        runner.run(client.aclose())
    rate = COUNT / statistics.median(took["ours"])
    path = "Redis XADD sink, 8 fields"
    return [
        faster(path, took["ours"], "packed commands on a bare socket", took["raw"], 0.65, f"{rate:,.0f} trades/s"),
        faster(path, took["ours"], "redis-py asyncio pipeline", took["pipeline"], 8),
    ]


def _raw(server: "RedisServer", packed: list[bytes]) -> None:
    """As many writes on their way as help; a thread sends, so that nothing waits for anything."""
    reader = hiredis.Reader(notEnoughData=Ellipsis)
    free = threading.Semaphore(IN_FLIGHT)
    with socket.create_connection(("127.0.0.1", server.port)) as wire:

        def send() -> None:
            for one in packed:
                free.acquire()
                wire.sendall(one)

        sending = threading.Thread(target=send)
        sending.start()
        got = 0
        while got < COUNT:
            reader.feed(wire.recv(1 << 18))
            while reader.gets() is not Ellipsis:
                got += 1
                if got % PER_PIPELINE == 0:
                    free.release()
        sending.join()


async def _pipeline(client: "Redis", some: list[Event]) -> None:
    for at in range(0, len(some), PER_PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for one in some[at : at + PER_PIPELINE]:
            assert isinstance(one, Trade)
            fields = {
                "exchange": one.venue, "pair": one.symbol, "price": one.price, "qty": one.size,
                "ts": "2024-11-14T17:30:00.123456", "side": one.side or "", "trade_id": one.trade_id, "raw_json": str(one.raw),
            }  # fmt: skip
            pipeline.xadd(f"trades:{one.symbol}", fields, maxlen=10_000, approximate=True)  # type: ignore[arg-type]
        await pipeline.execute()


def latency_rows(server: "RedisServer") -> list[Row]:
    rows = []
    for rate in RATES:
        server.command("FLUSHALL")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            latencies, stored = runner.run(_at_rate(server, rate))
        p99 = latencies.percentile(0.99) or 0.0
        is_whole = stored == int(rate * SECONDS)
        rows.append(
            absolute(
                f"{rate:,} trades/s into Redis Streams for {SECONDS:g} s",
                f"p99 {p99:.1f} ms, {'all there' if is_whole else f'{stored:,} there'}",
                "p99 <= 10 ms, nothing lost",
                reached=p99 <= 10 and is_whole,
                check=f"p50 {latencies.percentile(0.5) or 0.0:.1f} ms",
            )
        )
    return rows


async def _at_rate(server: "RedisServer", rate: int) -> tuple[Latencies, int]:
    """Published every millisecond; from `ts_recv` to acknowledged by the server. Says how many entries there are then."""
    import tempfile

    clock, bus, latencies = SystemClock(), Bus(Metrics()), Latencies(size=1_000_000)
    config = RedisConfig(url=SecretUrl(server.url), enabled=True, stream_maxlen=10_000_000)
    sink = RedisStreams(config, RedisLink(config, "bench", clock), clock, UNUSED)
    with tempfile.TemporaryDirectory() as directory:
        async with run_sinks([sink], bus, clock, data_dir=Path(directory)) as view:
            view.states[0].stored_ms = latencies
            started_s, sent = time.perf_counter(), 0
            total = int(rate * SECONDS)
            while sent < total:
                due = min(total, int((time.perf_counter() - started_s) * rate))
                if due > sent:
                    bus.publish(trades(sent + 1, due - sent, clock.now_ns()))
                    sent = due
                await asyncio.sleep(0.001)
    return latencies, sum(server.command("XLEN", f"trades:S{number}USDT") for number in range(SYMBOLS))
