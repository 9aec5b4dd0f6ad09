"""Events of many symbols into JetStream, and what comes out of a group of features members, to be compared with a reference."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import nats
from nats.aio.msg import Msg

from marketd.analysis.features import Engine
from marketd.analysis.payloads import NAMES, Features
from marketd.analysis.section import FeaturesConfig
from marketd.model import wire
from marketd.model.events import Quote, Trade

SECOND = 1_000_000_000
STREAM = "EVENTS"
PREFIX = "md.events"


@dataclass
class Load:
    """Trades and quotes at a steady rate, each symbol's with times of their own, and all features published meanwhile."""

    url: str
    symbols: Sequence[str]
    rate: int  # events a second, over all symbols
    sent: dict[str, list[Trade | Quote]] = field(default_factory=lambda: defaultdict(list))
    heard: dict[str, list[tuple[float, Features]]] = field(default_factory=lambda: defaultdict(list))  # by symbol, with when
    started_s: float = 0.0
    ended_s: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, and then until what was made of the last event has been published for every symbol."""
        client = await nats.connect(self.url)
        decode = msgspec.json.Decoder(Features).decode

        async def hear(message: Msg) -> None:
            features = decode(message.data)
            self.heard[features.symbol].append((time.monotonic(), features))

        await client.subscribe("senpai.features.*", cb=hear)
        await client.flush()
        self.started_s = time.monotonic()
        numbers = itertools.count(1)
        try:
            while not stop.is_set():
                for _ in range(int((time.monotonic() - self.started_s) * self.rate) - self._count):
                    event = self._make(next(numbers))
                    kind = "trade" if isinstance(event, Trade) else "quote"
                    await client.publish(f"{PREFIX}.{kind}.{event.symbol}", wire.encode(event))
                await asyncio.sleep(0.005)
            await client.flush()
            self.ended_s = time.monotonic()
            await self._published()
        finally:
            await client.close()

    _count = 0

    def _make(self, number: int) -> Trade | Quote:
        self._count = number
        symbol = self.symbols[number % len(self.symbols)]
        now = time.time_ns()
        ts = now - number % 7 * 1_000_000 - 5_000_000
        earlier = self.sent[symbol]
        if earlier and ts <= (earlier[-1].ts_event or 0):
            ts = (earlier[-1].ts_event or 0) + 1
        event: Trade | Quote
        if number // len(self.symbols) % 3 == 2:
            cents = 10_000 + number * 31 % 97
            event = Quote("binance", symbol, ts, now, f"{cents / 100:.2f}", "1.5", f"{(cents + 3) / 100:.2f}", "2")
        else:
            side = "buy" if number % 2 else "sell"
            event = Trade(
                "binance", symbol, ts, now, f"{(10_000 + number * 37 % 101) / 100:.2f}", f"0.{number % 9 + 1}", side, str(number)
            )
        earlier.append(event)
        return event

    async def _published(self, within_s: float = 30.0) -> None:
        until = time.monotonic() + within_s
        while late := [
            symbol
            for symbol in self.symbols
            if not self.heard[symbol] or self.heard[symbol][-1][1].ts != self.sent[symbol][-1].ts_event
        ]:
            assert time.monotonic() < until, f"nothing of the last event of {late[:5]} ({len(late)} symbols) within {within_s} s"
            await asyncio.sleep(0.05)

    def silences(self, least_s: float) -> list[tuple[float, float]]:
        """Times of so many seconds at least in which a symbol's features were not published though events came."""
        found = []
        for symbol in self.symbols:
            times = [at for at, _ in self.heard[symbol] if at <= self.ended_s]
            found += [pair for pair in itertools.pairwise([*times, self.ended_s]) if pair[1] - pair[0] >= least_s]
        return found

    def steps_back_s(self) -> float:
        """How far a symbol's published features went back in event time at most: what a new owner does again."""
        found = 0
        for heard in self.heard.values():
            newest = 0
            for _, features in heard:
                found = max(found, newest - features.ts)
                newest = max(newest, features.ts)
        return found / SECOND

    def wrong(self) -> list[tuple[str, int, dict[str, tuple[Any, Any]]]]:
        """Published features that are not those of all events of the symbol, in order, up to their time."""
        found = []
        for symbol in self.symbols:
            engine, made = Engine(FeaturesConfig()), {}
            for event in self.sent[symbol]:
                engine.take(event)
                features = engine.features(symbol)
                assert features is not None
                made[features.ts] = features.features
            for _, features in self.heard[symbol]:
                wanted = made.get(features.ts)
                if wanted != features.features:
                    pairs = {name: (getattr(features.features, name), getattr(wanted, name, None)) for name in NAMES}
                    found.append((symbol, features.ts, {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}))
        return found
