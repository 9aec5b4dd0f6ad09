"""How `marketd tail` shows an entry: one JSON line where a program reads, one plain line where a person does."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from marketd.model.events import AnyEvent
from marketd.sinks.console import line_of

_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder()
_events = msgspec.json.Decoder(AnyEvent)
WIDTH_MAX = 400
HIDDEN = {"raw_json"}  # beside the same trade in plain fields


class Output:
    """Standard output, flushed by whoever has written a batch."""

    def __init__(self) -> None:
        self.is_read_by_people = sys.stdout.isatty()

    def redis_entry(self, entry_id: str, fields: Mapping[str, str]) -> None:
        """An entry of a Redis stream: its id and its fields. A field that is itself called `id` becomes `field.id`."""
        if self.is_read_by_people:
            self._line(f"{_clock(entry_id)}  {_trade(fields) or _words(fields)}")
        else:
            self.json({"id": entry_id} | {("field.id" if name == "id" else name): text for name, text in fields.items()})

    def message(self, subject: str, data: bytes) -> None:
        """A NATS message: its payload where that is JSON, as our own are; any other beside its subject."""
        try:
            value = _any.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._other(subject, data.decode(errors="backslashreplace"))
            return
        if self.is_read_by_people:
            self._line(_event(data) or f"{subject}  {data.decode()}")
        elif isinstance(value, dict):
            sys.stdout.buffer.write((msgspec.json.format(data, indent=-1) if b"\n" in data else data) + b"\n")
        else:
            self.json({"subject": subject, "data": value})

    def _other(self, subject: str, text: str) -> None:
        if self.is_read_by_people:
            self._line(f"{subject}  {text}")
        else:
            self.json({"subject": subject, "data": text})

    def json(self, value: Any) -> None:
        """One line."""
        sys.stdout.buffer.write(_encode(value) + b"\n")

    def _line(self, text: str) -> None:
        print(printable(text)[:WIDTH_MAX])

    def flush(self) -> None:
        sys.stdout.flush()


def _event(data: bytes) -> str:
    """As the console shows it, if it is one of ours."""
    try:
        return line_of(_events.decode(data))
    except msgspec.ValidationError:
        return ""


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def time_of_id(entry_id: str) -> datetime | None:
    """When the server took the entry, if its id is a time as the server makes them."""
    ms = entry_id.partition("-")[0]
    if not ms.isdecimal() or int(ms) < 10**11:
        return None
    try:
        return datetime.fromtimestamp(int(ms) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _clock(entry_id: str) -> str:
    time = time_of_id(entry_id)
    return entry_id if time is None else time.strftime("%H:%M:%S.%f")[:-3]


def _trade(fields: Mapping[str, str]) -> str:
    """One of a `trades:` stream, as the console shows a trade."""
    if not {"exchange", "pair", "price", "qty", "side"} <= fields.keys():
        return ""
    what = f"{fields['exchange']:<10} {fields['pair']:<10} {fields['side'] or '?':<4} {fields['qty']} @ {fields['price']}"
    return f"{what}  id {fields.get('trade_id', '')}  at {fields.get('ts', '')}"


def _words(fields: Mapping[str, str]) -> str:
    return "  ".join(f"{name}={text}" for name, text in fields.items() if name not in HIDDEN)
