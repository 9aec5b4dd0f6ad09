"""Events on standard output for a person to glance at: one in so many, a line each."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import Field

from marketd.bus import Full
from marketd.errors import DeliveryError
from marketd.model.events import EVENT_TYPES, SYSTEM, BookDelta, BookL2, Candle, Event, Gap, Heartbeat, Quote, Status, Trade
from marketd.section import Section
from marketd.worker import Worker


class ConsoleConfig(Section):
    enabled: bool = False
    """Print events."""
    every: int = Field(100, ge=1)
    """One event in so many of its type is printed; gaps and what happens to a line always are."""


class Console:
    """Prints from a thread: a terminal that is held up holds up nobody else."""

    name = "console"
    full = Full.SHED
    gather_s = 0.05
    capacity = 4096
    types: frozenset[type[Event]] | None = frozenset(EVENT_TYPES) - {BookDelta}

    def __init__(self, config: ConsoleConfig) -> None:
        self._every = config.every
        self._seen: Counter[type[Event]] = Counter()
        self._states: dict[tuple[str, str], str] = {}  # last printed, by venue and symbol
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        self._worker = Worker("console")
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        assert self._worker is not None, "opened before it is written to"
        text = "\n".join(line_of(event) for event in batch if self._is_due(event))
        if text:
            await self._worker.run(lambda: _print(text))

    async def __aexit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _is_due(self, event: Event) -> bool:
        kind = event.__class__
        if isinstance(event, Status):  # tried again and failed again is no news; the log has each try
            key = (event.venue, event.symbol)
            is_news = self._states.get(key) != event.state
            self._states[key] = event.state
            return is_news
        self._seen[kind] += 1
        return kind is Gap or self._seen[kind] % self._every == 1 % self._every


def line_of(event: Any) -> str:
    """`12:30:00.123 binance BTCUSDT trade buy 0.5 @ 37000.1`."""
    time = datetime.fromtimestamp(event.ts_recv / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    symbol = "" if event.symbol == SYSTEM else event.symbol
    return f"{time} {event.venue:<10} {symbol:<10} {_said(event)}"


def _said(event: Any) -> str:
    match event:
        case Trade():
            return f"trade {event.side or '?':<4} {event.size} @ {event.price}{' (repaired)' if event.repaired else ''}"
        case Quote():
            return f"quote {event.bid} x {event.bid_size} | {event.ask} x {event.ask_size}"
        case BookL2() | BookDelta():
            best = [f"{levels[0][0]} x {levels[0][1]}" if levels else "-" for levels in (event.bids, event.asks)]
            return f"book  {best[0]} | {best[1]} ({len(event.bids)}+{len(event.asks)} levels)"
        case Candle():
            state = "closed" if event.closed else "open"
            return (
                f"candle {event.timeframe} {state} o {event.open} h {event.high} l {event.low} c {event.close} v {event.volume}"
            )
        case Gap():
            first, last = event.from_id or event.from_ts, event.to_id or event.to_ts
            return f"gap   {event.channel} {event.state} {first}..{last}: {event.cause}"
        case Status():
            return f"venue {event.state}{': ' if event.reason else ''}{event.reason}"
        case Heartbeat():
            return f"alive {event.reason}"
    return str(event)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        raise DeliveryError(f"console: cannot write to standard output: {error.strerror}") from error
