"""
Recorded frames as the source of a simulated venue: what was once received is sent again, byte for byte.

Forms: JSON lines, plain, gzip or zstd, `{"ts", "k", "frame"}` with k in, out, open, close, rest; a REST answer is a `rest` line
with `url` and `frame` or `body`, or a line with `method`, `url` and `body`; and `.frames.gz` with one bare frame a line.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import zstandard

from marketd.clock import Clock
from marketd.sim.wire import Request, Response

if TYPE_CHECKING:
    from marketd.sim.session import Session

SETTLE_S = 0.25  # after the last subscription, so that one made in several messages is whole before the first frame
POLL_S = 0.02
BATCH = 200
PAIR_KEYS = ("symbol", "pair")


@dataclass(frozen=True)
class RecordedFrame:
    ts: int | None  # ns
    payload: bytes
    message: Any  # as JSON; None where it is none


@dataclass(frozen=True)
class RecordedAnswer:
    url: str  # "" where the recording kept none
    body: bytes
    status: int

    def fits(self, request: Request) -> bool:
        """The same resource (version and host aside) and, where both name a symbol, the same symbol."""
        if not self.url:
            return request.path.rsplit("/", 1)[-1] in {"depth", "orderbook", "book"}
        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query))
        if resource(parts.path) != resource(request.path):
            return False
        return all(query.get(key) == request.query.get(key) for key in PAIR_KEYS if key in query or key in request.query)


def resource(path: str) -> str:
    """The path without the leading parts that only name a version: /api/v3/depth and /api/v1/depth are `depth`."""
    parts = [part for part in path.split("/") if part]
    while parts and (parts[0] in {"api", "public", "0"} or (parts[0][:1] == "v" and parts[0][1:].isdigit())):
        parts.pop(0)
    return "/".join(parts)


@dataclass
class Recording:
    """All of one or several files, and how far it has been played."""

    frames: list[RecordedFrame] = field(default_factory=list)
    answers: list[RecordedAnswer] = field(default_factory=list)
    started: bool = False
    done: bool = False
    sent: int = 0
    left_out: int = 0  # frames of streams that nobody subscribed to, and the recorded acknowledgements

    def answer(self, request: Request) -> Response | None:
        """The recorded answer to this request; each is used once, the last of a kind again and again."""
        fitting = [each for each in self.answers if each.fits(request)]
        if not fitting:
            return None
        if len(fitting) > 1:
            self.answers.remove(fitting[0])
        return Response(fitting[0].body, fitting[0].status)


def read_recording(paths: Path | Iterable[Path], venue: str | None = None) -> Recording:
    """Read the files; lines of other venues are left out. OSError if there is none, ValueError names a line that is no record."""
    found = Recording()
    for path in [paths] if isinstance(paths, Path) else paths:
        for number, line in enumerate(_lines(path), 1):
            if path.name.endswith((".frames.gz", ".frames")):
                found.frames.append(_frame(None, line))
                continue
            try:
                record = json.loads(line)
                kind = record.get("k", "rest" if "body" in record else "")
            except (ValueError, AttributeError):
                raise ValueError(f"{path}, line {number}: not a JSON object with ts, k and frame") from None
            if venue is not None and record.get("venue", venue) != venue:
                continue
            if kind == "in":
                found.frames.append(_frame(record.get("ts"), record["frame"]))
            elif kind == "rest":
                body = record.get("body", record.get("frame")) or ""
                body = body if isinstance(body, str) else json.dumps(body)
                url = record.get("url") or ""
                found.answers.append(RecordedAnswer(url, body.encode(), record.get("status") or 200))
    return found


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        stream: Any = gzip.open(path, "rt", encoding="utf-8")  # noqa: SIM115
    elif path.suffix == ".zst":
        stream = zstandard.open(path, "rt", encoding="utf-8")
    else:
        stream = path.open(encoding="utf-8")
    with stream as lines:
        yield from (line.rstrip("\n") for line in lines if line.strip())


def _frame(ts: int | None, text: str) -> RecordedFrame:
    message = None
    with suppress(ValueError):
        message = json.loads(text)
    return RecordedFrame(ts, text.encode(), message)


async def play(
    recording: Recording,
    sessions: Callable[[], Iterable[Session]],
    is_control: Callable[[Any], bool],
    clock: Clock,
    speed: float | None,
) -> None:
    """
    Wait for clients and their subscriptions, send them every frame they asked for, once, and stop.

    The connections stay open afterwards, and who comes later gets nothing, so that no frame arrives twice. `speed` 1 is
    the recorded pace; None is as fast as the clients take it.
    """
    chosen = await _wait_for_subscriptions(sessions, clock)
    recording.started = True
    started, first_ts = clock.monotonic(), next((frame.ts for frame in recording.frames if frame.ts is not None), 0)
    for count, frame in enumerate(recording.frames, 1):
        if speed is not None and frame.ts is not None:
            due = started + (frame.ts - first_ts) / 1e9 / speed
            if due > clock.monotonic():
                await clock.sleep(due - clock.monotonic())
        takers = [] if is_control(frame.message) else [each for each in chosen if each.wants(frame.message)]
        if not takers:
            recording.left_out += 1
        for session in takers[:1]:
            session.replay(frame.payload, frame.message)
            recording.sent += 1
        if count % BATCH == 0:
            for session in chosen:
                await session.socket.wait_for_room()
            await clock.sleep(0)
    recording.done = True


async def _wait_for_subscriptions(sessions: Callable[[], Iterable[Session]], clock: Clock) -> list[Session]:
    quiet_since, known = clock.monotonic(), -1
    while True:
        chosen = [session for session in sessions() if session.topics]
        count = sum(len(session.topics) for session in chosen)
        if count != known:
            quiet_since, known = clock.monotonic(), count
        elif chosen and clock.monotonic() - quiet_since >= SETTLE_S:
            return chosen
        await clock.sleep(POLL_S)
