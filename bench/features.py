"""The feature engine at 200 symbols and 50,000 trades a second with full windows, against scanning the windows anew."""

import random
import time
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, isclose, log, sqrt
from statistics import median

from bench.rounds import Row, absolute, faster, interleave
from marketd.analysis.features import Engine
from marketd.analysis.payloads import NAMES
from marketd.analysis.section import FeaturesConfig
from marketd.model.events import Event, Quote, Trade

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
SYMBOLS, TRADES_S, QUOTES_S = 200, 50_000, 5_000
EVENTS_S = TRADES_S + QUOTES_S
FILL_S = 62  # of market time, before anything is measured: longer than the longest window
ROUNDS, ROUND_S = 7, 0.5  # of market time in each round
LOOK_NS = 20_000_000  # market time between two looks at what is to be published
SCANNED = 30  # events in each round of the scan


def market(seconds: float, seed: int = 1) -> Iterator[list[Event]]:
    """Wandering prices, digits and times as venues send them; batches of one look."""
    chance = random.Random(seed)
    names = [f"C{number}USDT" for number in range(SYMBOLS)]
    cents = [chance.randint(10_000, 10_000_000) for _ in names]
    batch, number, step = list[Event](), 0, SECOND // EVENTS_S
    look = T0 + LOOK_NS
    for number in range(int(seconds * EVENTS_S)):
        t, at = T0 + number * step, chance.randrange(SYMBOLS)
        recv = t + chance.randint(1_000_000, 40_000_000)
        if t >= look:
            yield batch
            batch, look = [], look + LOOK_NS
        if number % (EVENTS_S // QUOTES_S) == 0:
            bid, ask = f"{cents[at] / 100:.2f}000000", f"{(cents[at] + 1) / 100:.2f}000000"
            batch.append(Quote("made", names[at], t, recv, bid, "1.00000000", ask, "2.00000000", number))
        else:
            cents[at] += chance.choice((-1, 0, 0, 0, 1))
            price, size = f"{cents[at] / 100:.2f}000000", f"{chance.randint(1, 10**6) / 1e5:.8f}"
            batch.append(Trade("made", names[at], t - t % 1_000_000, recv, price, size, "buy", str(number)))
    yield batch


class Scan:
    """The same eleven of one symbol in the plainest way: the trades of a minute in a list, all features from all of it."""

    def __init__(self) -> None:
        self.trades: list[tuple[int, float, float, int]] = []
        self.quote: Quote | None = None
        self.now = 0

    def take(self, event: Event) -> None:
        self.now = max(self.now, event.ts_event or event.ts_recv)
        if isinstance(event, Trade):
            t = event.ts_event or event.ts_recv
            self.trades.append((t, float(event.price), float(event.size), event.ts_recv - t))
        elif isinstance(event, Quote):
            self.quote = event

    def features(self) -> dict[str, float | None]:
        now = self.now
        found = self.trades = [one for one in self.trades if one[0] > now - 60 * SECOND]
        ten = [one for one in found if one[0] > now - 10 * SECOND]
        before = [one for one in found if one[0] <= now - 10 * SECOND]
        size, size_ten = sum(one[2] for one in found), sum(one[2] for one in ten)
        steps = [log(b[1] / a[1]) for a, b in pairwise(found)]
        mean = sum(steps) / max(len(steps), 1)
        ordered = sorted(one[3] // 100_000 / 10 for one in found)
        bid, ask = (float(self.quote.bid), float(self.quote.ask)) if self.quote else (1.0, 1.0)
        mid = (bid + ask) / 2
        values = (
            mid, ask - bid, (ask - bid) / mid * 10_000,
            sum(one[1] * one[2] for one in ten) / size_ten if size_ten else None,
            sum(one[1] * one[2] for one in found) / size if size else None,
            len(ten), size_ten,
            ten[-1][1] / (before[-1] if before else ten[0])[1] - 1 if len(found) > 1 and ten else None,
            sqrt(sum((one - mean) ** 2 for one in steps) / (len(steps) - 1)) if len(steps) > 1 else None,
            ordered[ceil(len(ordered) * 0.5) - 1] if ordered else None,
            ordered[ceil(len(ordered) * 0.95) - 1] if ordered else None,
        )  # fmt: skip
        return dict(zip(NAMES, values, strict=True))


class Run:
    """The engine as the service drives it: batches in, what is due made into features, signals and alerts drained."""

    def __init__(self) -> None:
        self.engine = Engine(FeaturesConfig())
        self.now = T0
        self.published = self.found = 0

    def take(self, batch: list[Event]) -> None:
        engine = self.engine
        engine.take_all(batch)
        self.now += LOOK_NS
        for symbol in engine.due(self.now):
            engine.features(symbol)
            self.published += 1
        self.found += len(engine.drain())


def run() -> list[Row]:
    ours, scan, symbol = Run(), Scan(), "C0USDT"
    batches = market(FILL_S + (ROUNDS + 1) * ROUND_S)
    for _ in range(round(FILL_S * SECOND / LOOK_NS)):
        batch = next(batches)
        ours.take(batch)
        for event in batch:
            if event.symbol == symbol:
                scan.take(event)
    _agree(ours.engine, symbol, scan)
    rest = list(batches)
    each = len(rest) // (ROUNDS + 1)
    parts = iter([rest[at : at + each] for at in range(0, each * (ROUNDS + 1), each)])
    again = [event for batch in rest for event in batch if event.symbol == symbol][:SCANNED]
    counts: list[int] = []
    worked: list[float] = []  # seconds of the processor: others on the machine make us wait, which is not ours to count
    published = ours.published

    def engine() -> None:
        part = next(parts)
        counts.append(sum(map(len, part)))
        started = time.process_time()
        for batch in part:
            ours.take(batch)
        worked.append(time.process_time() - started)

    def scanned() -> None:
        for event in again:
            scan.take(event)
            scan.features()

    took = interleave({"engine": engine, "scan": scanned}, rounds=ROUNDS)
    per_event = [seconds / count for seconds, count in zip(took["engine"], counts[1:], strict=True)]
    per_scan = [seconds / SCANNED for seconds in took["scan"]]
    rates = [count / seconds for count, seconds in zip(counts[1:], worked[1:], strict=True)]
    rate, made = median(rates), (ours.published - published) / sum(counts)
    path = f"features, {SYMBOLS} symbols, 11 features, {TRADES_S:,} trades/s"
    by_wall, full = f"{1 / median(per_event):,.0f}/s by the clock on the wall", f"{TRADES_S * 60:,} trades in the windows"
    seldom = median(per_scan) * made / median(per_event)
    return [
        absolute(
            path,
            f"{rate:,.0f} events/s of one core",
            f">= 4x 50,000 = {4 * TRADES_S:,}",
            reached=rate >= 4 * TRADES_S,
            check=f"{max(rates):,.0f} events/s",
            note=f"{by_wall}; {full}; one publication in {1 / made:.0f} events",
        ),
        faster(path, per_event, "scanning at every event", per_scan, 300, f"{seldom:.0f}x scanning at publications only"),
    ]


def _agree(engine: Engine, symbol: str, scan: Scan) -> None:
    made = engine.features(symbol)
    assert made is not None
    for name, value in scan.features().items():
        mine = getattr(made.features, name)
        assert mine is not None, name
        assert value is not None, name
        assert isclose(mine, value, rel_tol=1e-6, abs_tol=1e-9), (name, mine, value)
