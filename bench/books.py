"""A maintained book against the typed decode of its frames alone: recorded frames where there are any, else made ones."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.rounds import Row, at_most, interleave
from marketd.model.book import Book
from marketd.model.events import BookDelta, Level
from marketd.model.instruments import Instruments
from marketd.venues.binance import Binance

RECORDED = Path(__file__).resolve().parents[2] / "shared/data/binance/ws/spot_ethusdt_20240809.jsonl.gz"
FRAMES = 2_000
LEVELS = 20  # a side in each frame


class _Data(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]


class _Outer(msgspec.Struct, gc=False):
    stream: str
    data: _Data


_floor = msgspec.json.Decoder(_Outer)


class _Record(msgspec.Struct):
    k: str
    frame: str = ""


def recorded_frames() -> list[bytes]:
    with gzip.open(RECORDED, "rb") as lines:
        records = [msgspec.json.decode(line, type=_Record) for line in lines]
    return [one.frame.encode() for one in records if one.k == "in" and "@depth" in one.frame][:FRAMES]


def made_frames(seed: int = 1) -> list[bytes]:
    """A seeded market that wanders; half of the changes are near its middle, a third remove a level, as recorded ones do."""
    chance = random.Random(seed)
    middle, frames = 600_000, []
    for number in range(FRAMES):
        middle += chance.randint(-3, 3)
        sides = []
        for sign in (-1, 1):
            rows = []
            for _ in range(LEVELS):
                away = chance.randint(1, 40 if chance.random() < 0.5 else 800)
                size = "0.00000000" if chance.random() < 0.35 else f"{chance.randint(1, 10**9) / 1e8:.8f}"
                rows.append([f"{(middle + sign * away) / 10:.2f}000000", size])
            # The market passed here: what the other side had is gone.
            rows += [[f"{(middle - sign * away) / 10:.2f}000000", "0.00000000"] for away in range(3)]
            sides.append(rows)
        data = {"e": "depthUpdate", "E": number, "s": "BTCUSDT", "U": number, "u": number, "b": sides[0], "a": sides[1]}
        frames.append(msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": data}))
    return frames


def run() -> list[Row]:
    frames = recorded_frames() if RECORDED.exists() else made_frames()

    def floor() -> None:
        for frame in frames:
            _floor.decode(frame)

    def event() -> None:
        line = Binance().open_line(Instruments())
        for frame in frames:
            line.read(frame, 0)

    def kept(looks_every: int) -> Callable[[], Book]:
        def work() -> Book:
            line, book = Binance().open_line(Instruments()), Book()
            for number, frame in enumerate(frames, 1):
                for delta in line.read(frame, 0):
                    assert isinstance(delta, BookDelta)
                    book.apply_delta(delta.bids, delta.asks, delta.seq)
                if number % looks_every == 0:
                    book.view(20)
            return book

        return work

    assert kept(1)().view(1_000) == kept(5)().view(1_000) == kept(len(frames))().view(1_000)
    sides: dict[str, Callable[[], object]] = {"floor": floor, "event": event}
    sides |= {f"look {every}": kept(every) for every in (1, 5, len(frames))}
    took = interleave(sides)
    path = "depth frame with maintained, exact book"
    return [
        at_most("depth frame, 20 levels a side, event only", took["event"], "floor", took["floor"], 1.3),
        at_most(f"{path}, looked at in the end", took[f"look {len(frames)}"], "floor", took["floor"], 2.5),
        at_most(f"{path}, view(20) every fifth frame", took["look 5"], "floor", took["floor"], 2.5),
        at_most(f"{path}, view(20) every frame", took["look 1"], "floor", took["floor"], 2.5, "what was removed, fresh levels"),
    ]
