"""Frames of each venue beside what they say, in tests/frames/<venue>/.

`<name>.frame.jsonl` holds the frames of one connection in order, one a line, written as the venue writes them. Beside it
`<name>.events.json` says where the form comes from (`source`, `date`), which `instruments` (theirs: [base, quote]) and
what was `asked` for, and in `told` for each frame the events and notices that it means, or the reason why it is bad.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from marketd.errors import BadFrame
from marketd.model.events import Event
from marketd.model.instruments import Instrument, Instruments
from marketd.venues import VENUES
from marketd.venues.notices import Notice
from marketd.venues.venue import Line, Wanted

FRAMES = Path(__file__).resolve().parent.parent / "frames"
TS_RECV = 1_700_000_099_000_000_000


@dataclass(frozen=True)
class Session:
    """One connection: its frames and, for each, what it says."""

    venue: str
    name: str
    source: str
    date: str
    instruments: Instruments
    asked: Sequence[Sequence[Wanted]]  # by subscribe call
    frames: Sequence[bytes]
    told: Sequence[Any]

    def __str__(self) -> str:
        return f"{self.venue}/{self.name}"

    def open_line(self) -> Line:
        """A line of this venue with the session's subscriptions asked for."""
        line = VENUES[self.venue]({}).open_line(self.instruments)
        for wanted in self.asked:
            line.subscribe(wanted)
        return line


def sessions(venue: str = "*") -> list[Session]:
    return [_session(path) for path in sorted(FRAMES.glob(f"{venue}/*.frame.jsonl"))]


def _session(path: Path) -> Session:
    said = json.loads(path.with_name(path.name.replace(".frame.jsonl", ".events.json")).read_text())
    venue = path.parent.name
    return Session(
        venue=venue,
        name=path.name.removesuffix(".frame.jsonl"),
        source=said["source"],
        date=said["date"],
        instruments=Instruments(
            Instrument(venue, base + quote, theirs, base, quote) for theirs, (base, quote) in said["instruments"].items()
        ),
        asked=[[Wanted(*one) for one in call] for call in said["asked"]],
        frames=path.read_bytes().splitlines(),
        told=said["told"],
    )


def read_as_data(line: Line, frame: bytes) -> Any:
    """What a frame says in the form of the events file: events as on the wire, notices with their name."""
    try:
        return [as_data(one) for one in line.read(frame, TS_RECV)]
    except BadFrame:
        return "bad frame"


def as_data(one: Event | Notice) -> Any:
    data = json.loads(msgspec.json.encode(one))
    return data if isinstance(one, Event) else {"notice": type(one).__name__, **data}
