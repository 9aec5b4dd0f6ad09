"""The message log: what an entry of it says about one operation on Redis, and what is not logged."""

from typing import Literal, get_args

import msgspec

from marketd.model.times import iso_of_ns

STREAM = "redis:message_log"
MIRROR = "market:log"  # where a profile has the same entries once more
MAXLEN = 10_000  # entries kept, approximately
SUMMARY_MAX = 300  # characters

EntryType = Literal["publish", "cache_write", "cache_read", "signal", "trade", "error"]
Source = Literal["market-data", "ta-service", "dashboard", "trader-bot"]
NoteType = Literal["signal", "trade", "error"]  # what a program says of itself, without an operation on Redis
TYPES: tuple[EntryType, ...] = get_args(EntryType)
SOURCES: tuple[Source, ...] = get_args(Source)
NOTE_TYPES: tuple[NoteType, ...] = get_args(NoteType)

_UNLOGGED = frozenset({STREAM, MIRROR})


class Entry(msgspec.Struct, frozen=True):
    """One operation; its fields are those of the stream, where all of them are text."""

    type: str
    channel: str  # the channel or key
    source: str  # who did it
    summary: str  # one line for a person
    payload_size: int  # bytes of the value or message; 0 where there was none
    timestamp: str  # ISO 8601, UTC

    def words(self) -> tuple[str, ...]:
        """Names and values in turn, as XADD takes them."""
        return (
            "type", self.type, "channel", self.channel, "source", self.source, "summary", self.summary,
            "payload_size", str(self.payload_size), "timestamp", self.timestamp,
        )  # fmt: skip


def is_logged(channel: str) -> bool:
    """The log itself and the streams of trades are not: they would be nothing but the log's own echo."""
    return channel not in _UNLOGGED and not channel.startswith("trades:")


def of_write(key: str, size: int, ttl_s: float | None, source: str, ts: int) -> Entry:
    """A value of `size` bytes that was put under `key` at `ts` (ns), for `ttl_s` seconds or for good."""
    kept = "none" if ttl_s is None else f"{ttl_s:g}"
    return Entry("cache_write", key, source, f"wrote {key}, {size} bytes, ttl={kept}", size, iso_of_ns(ts))


def of_read(key: str, size: int | None, source: str, ts: int) -> Entry:
    """What was found under `key` at `ts` (ns); None: nothing."""
    found = "nothing there" if size is None else f"{size} bytes"
    return Entry("cache_read", key, source, f"read {key}, {found}", size or 0, iso_of_ns(ts))


def of_publish(channel: str, size: int, source: str, ts: int, *, signal: bool = False, summary: str = "") -> Entry:
    """A message of `size` bytes to `channel` at `ts` (ns); `signal`: it is one, and logged as such."""
    what = line_of(summary) or f"published to {channel}, {size} bytes"
    return Entry("signal" if signal else "publish", channel, source, what, size, iso_of_ns(ts))


def of_note(kind: NoteType, channel: str, summary: str, size: int, source: str, ts: int) -> Entry:
    """What a program did or met at `ts` (ns) that is no operation on Redis by itself."""
    return Entry(kind, channel, source, line_of(summary), size, iso_of_ns(ts))


def line_of(text: str) -> str:
    """One line for a person, however long and broken the text is."""
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_MAX else f"{line[: SUMMARY_MAX - 3]}..."


def entry_of(fields: dict[str, str]) -> Entry:
    """The entry of a stream's fields. What another program left out is empty, and what is no number is 0."""
    size = fields.get("payload_size", "")
    return Entry(
        fields.get("type", ""),
        fields.get("channel", ""),
        fields.get("source", ""),
        fields.get("summary", ""),
        int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else 0,
        fields.get("timestamp", ""),
    )
