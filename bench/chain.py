"""The whole chain: a simulated Binance in another process -> feed -> bus -> a place, with every check on."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.places import PLACES, Place, files
from bench.processes import Look, served, simulated
from bench.rounds import Row, absolute, show

RATES: tuple[int | None, ...] = (5_000, 20_000, 50_000, None)  # events a second; None: as fast as they are taken
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SECONDS = 10.0
SLICE_S = 5.0  # encoded at a time, so that no silence is long enough to be taken for a dead connection
FLOOD_EVENTS = 250_000
WARM_UP = 5_000
P99_MS, GROWTH_MIB = 10.0, 20.0
MIB = 1 << 20


@dataclass(frozen=True)
class Measured:
    place: str
    rate: int | None
    trades: int  # sent
    quotes: int  # sent
    seconds: float  # of sending; in a flood also of storing what waits at its end
    trades_stored: int  # by the sink that has fewer
    quotes_stored: int
    before: Look
    after: Look

    @property
    def lost(self) -> int:
        """Trades that are neither stored nor kept on disk for later."""
        return self.trades - self.trades_stored - self.after.spilled

    def stored_ms(self, share: float) -> float:
        """Of the slower sink, from `ts_recv` of a batch's oldest event to its commit."""
        return max(_percentile(samples, share) for samples in self.after.stored_ms.values() if samples)

    def row(self) -> Row:
        sent = self.trades + self.quotes
        cpu_s = self.after.cpu_s - self.before.cpu_s
        conflated, growth_mib = self.quotes - self.quotes_stored, (self.after.rss - self.before.rss) / MIB
        p50, p99 = self.stored_ms(0.5), self.stored_ms(0.99)
        parts = [f"{sent / self.seconds:,.0f}/s"]
        parts += [
            f"{self.lost:,} trades lost" if self.lost else f"{conflated:,} quotes conflated" if conflated else "nothing lost"
        ]
        parts += [f"{self.after.spilled:,} left in the spill"] if self.after.spilled else []
        parts += [f"p50 {p50:.1f} ms", f"p99 {p99:.1f} ms", f"RSS {growth_mib:+.0f} MiB"]
        note = f"{cpu_s / sent * 1e6:.1f} us of processor an event, {cpu_s / self.seconds:.0%} of a core"
        if self.rate is None:
            path = f"Binance -> {self.place}, flood of {sent:,}"
            return absolute(path, ", ".join(parts), "no trade lost", reached=not self.lost, note=note)
        keeps_pace = sent / self.seconds > 0.95 * self.rate
        reached = keeps_pace and not (self.lost or conflated or self.after.spilled) and p99 <= P99_MS and growth_mib <= GROWTH_MIB
        return absolute(
            f"Binance -> {self.place}, {self.rate:,} events/s for {self.seconds:.0f} s",
            ", ".join(parts),
            f"nothing lost, p99 <= {P99_MS:g} ms, RSS <= {GROWTH_MIB:+g} MiB",
            reached=reached,
            note=note if keeps_pace else f"{note}; the simulated venue could not send faster",
        )


def measure(rate: int | None, seconds: float = SECONDS, place: Place | None = None) -> Measured:
    """One rate, in fresh processes."""
    if place is None:
        with files() as place:
            return measure(rate, seconds, place)
    with tempfile.TemporaryDirectory(prefix="marketd-bench-") as name:
        data_dir = Path(name)
        with simulated(SYMBOLS) as venue, served({**venue.env(), **place.environ}, SYMBOLS, data_dir, place.channels) as daemon:
            first = venue.flood(WARM_UP, WARM_UP)  # code is warm and buffers have grown
            events_per_frame = WARM_UP / first.frames  # a trade may move the quote: two frames
            before = daemon.settled(first.frames)
            there = place.count(data_dir)
            floods = [
                venue.flood(int(frames * events_per_frame), rate and rate * events_per_frame) for frames in _slices(rate, seconds)
            ]
            took, begun = sum(flood.seconds for flood in floods), time.monotonic()
            sent, trades = sum(flood.frames for flood in floods), sum(flood.trades for flood in floods)
            after = daemon.settled(first.frames + sent)
            took += 0 if rate else time.monotonic() - begun
            trades_stored, quotes_stored = (now - then for now, then in zip(place.count(data_dir), there, strict=True))
        return Measured(place.name, rate, trades, sent - trades, took, trades_stored, quotes_stored, before, after)


def _slices(rate: int | None, seconds: float) -> list[float]:
    """How many events to send at a time."""
    if rate is None:
        return [FLOOD_EVENTS]
    return [rate * min(SLICE_S, seconds - at * SLICE_S) for at in range(-int(-seconds // SLICE_S))]


def _percentile(samples: list[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def run() -> list[Row]:
    return [row for name in PLACES for row in rows_of(name, RATES)]


def rows_of(name: str, rates: Sequence[int | None], seconds: float = SECONDS) -> list[Row]:
    """A fresh place for each rate."""
    rows = []
    for rate in rates:
        with PLACES[name]() as place:
            rows.append(measure(rate, seconds, place).row())
    return rows


def main() -> None:
    """`python -m bench.chain --seconds 60 --rates 50000`"""
    parser = argparse.ArgumentParser(prog="python -m bench.chain", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--places", nargs="*", choices=PLACES, default=list(PLACES))
    parser.add_argument("--rates", type=int, nargs="*", default=[], help="events a second; 0: a flood")
    asked = parser.parse_args()
    rates = [rate or None for rate in asked.rates] or RATES
    show([row for name in asked.places for row in rows_of(name, rates, asked.seconds)], Console())


if __name__ == "__main__":
    main()
