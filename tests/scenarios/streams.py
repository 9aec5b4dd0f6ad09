"""Collectors that publish into a stream, and what the stream holds afterwards."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.wire import decode
from marketd.net.nats import NatsConfig, open_link
from marketd.sinks.delivery import run_sinks
from marketd.sinks.jetstream import JetStream
from marketd.sinks.sink import SinkState
from tests.nats_servers import NatsCluster, NatsServer, kept
from tests.samples import trades

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
PAUSE_S = 0.004


@asynccontextmanager
async def collector(server: NatsServer | NatsCluster, data_dir: Path, replicas: int) -> AsyncIterator[tuple[Bus, SinkState]]:
    """The sink as the daemon runs it. On leaving it has delivered what was published."""
    settings = NatsConfig.model_validate(
        {"url": server.url, "enabled": True, "jetstream": True, "stream": {"replicas": replicas}}
    )
    bus, clock = Bus(Metrics()), SystemClock()
    async with (
        open_link(settings, "marketd-test", clock) as link,
        run_sinks([JetStream(settings, link, clock, bus.metrics)], bus, clock, data_dir=data_dir) as view,
    ):
        yield bus, view.states[0]


async def load(buses: Sequence[Bus], stop: asyncio.Event, made: dict[str, int]) -> None:
    """The same trades to each collector, a little later to the next one, until told to stop; `made` counts them by symbol."""
    behind: list[list[Event]] = [[] for _ in buses]
    while not stop.is_set():
        for symbol in SYMBOLS:
            events = trades(made[symbol] + 1, made[symbol] + 5, symbol=symbol)
            made[symbol] += 5
            for bus, waiting in zip(buses, behind, strict=True):
                bus.publish(waiting)
                waiting[:] = events
                events = list(events)
        await asyncio.sleep(PAUSE_S)
    for bus, waiting in zip(buses, behind, strict=True):
        bus.publish(waiting)


async def trades_of(url: str) -> dict[tuple[str, str], list[int]]:
    """The ids in the stream by venue and symbol, in its order."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in await kept(url, "md.events.trade.*"):
        event = decode(one.data)
        assert isinstance(event, Trade)
        found[event.venue, event.symbol].append(int(event.trade_id))
    return found


def disorder(ids: Iterable[int]) -> int:
    """How often an id is followed by one that is not larger."""
    return sum(after <= before for before, after in pairwise(ids))


def wrongs(found: Mapping[tuple[str, str], list[int]], made: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Of each symbol that is not as it was made: how many are lost, there twice, out of order."""
    counted = {}
    for symbol, last in made.items():
        ids = found["binance", symbol]
        counted[symbol] = (last - len(set(ids)), len(ids) - len(set(ids)), disorder(ids))
    return {symbol: wrong for symbol, wrong in counted.items() if any(wrong)}
