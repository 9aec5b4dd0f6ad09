"""What the streams hold of each series, as their own record in Redis says, so that no trade is written there twice.

The record is one hash, `marketd:trades`, changed in the same transaction as the streams: how far each series has got, who
wrote it, and with which of its writes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from marketd.model.events import Trade
from marketd.model.marks import Mark, Series

RECORD = "marketd:trades"  # the key in Redis
REMEMBERED = 1_000_000  # trades, at most, of which is remembered that they are there
BEFORE_NS = 600_000_000_000  # an entry may have been added so long before its trade happened, by clocks that disagree


class Progress(NamedTuple):
    """One series in the record."""

    trade_id: str | None = None  # the newest in order: the high-water mark
    ts_event: int | None = None
    top_id: str | None = None  # the newest of all, repaired ones included: what lies beyond it is not there for certain
    top_ts: int | None = None
    writer: str = ""
    number: int = 0  # of the writer's transactions

    @property
    def mark(self) -> Mark:
        return Mark(self.trade_id, self.ts_event)

    @property
    def top(self) -> Mark:
        return Mark(self.top_id, self.top_ts)

    def with_trade(self, trade: Trade) -> "Progress":
        its = Mark(trade.trade_id, trade.ts_event)
        after = self
        if self.top_id is None or self.top.is_before(its):
            after = after._replace(top_id=its.trade_id, top_ts=its.ts_event)
        if not trade.repaired and (self.trade_id is None or self.mark.is_before(its)):
            after = after._replace(trade_id=its.trade_id, ts_event=its.ts_event)
        return after


def field_of(series: Series) -> str:
    return f"{series[0]}:{series[1]}"


def encode_progress(progress: Progress) -> bytes:
    return msgspec.json.encode(progress)


def decode_progress(data: bytes | None) -> Progress | None:
    """None for what is not there or not ours."""
    try:
        return None if data is None else msgspec.json.decode(data, type=Progress)
    except msgspec.MsgspecError:
        return None


def read_record(answer: Sequence[bytes]) -> dict[Series, Progress]:
    """What HGETALL gave."""
    found: dict[Series, Progress] = {}
    for field, value in zip(answer[::2], answer[1::2], strict=True):
        venue, _, symbol = field.decode("utf-8", "replace").partition(":")
        progress = decode_progress(value)
        if progress is not None:
            found[venue, symbol] = progress
    return found


class Tail:
    """What was read of a stream, from its end backwards."""

    def __init__(self) -> None:
        self.back_to: int | None = None  # ns: no entry before it was read; None: nothing was read at all
        self.ids: set[tuple[str, str]] = set()  # venue, trade id


class Held:
    """Tells trades that are there from those that are not. A restart offers some again: from the spill, and by repairs that
    start where the slowest sink is."""

    def __init__(self) -> None:
        self.at_open: dict[Series, Progress] = {}  # what was there, or was to be, before this run or before a doubt
        self._opened_at = 0  # ns
        self._past: set[Series] = set()  # beyond what was there at the start: what the feed brings in order is new
        self._spilled: dict[Series, set[str]] = {}  # written in this run and received in an earlier one: repairs bring them again
        self._tails: dict[str, Tail] = {}  # by symbol
        self._remembered = 0

    def opened(self, record: Mapping[Series, Progress], now: int) -> None:
        self.at_open = dict(record)
        self._opened_at = now
        self._past.clear()
        self._spilled.clear()
        self._tails.clear()
        self._remembered = 0

    def are_new(self, trades: Iterable[Trade]) -> bool:
        """Whether nothing has to be asked about any of these: what is always so once a run has got going."""
        past = self._past
        return all(not trade.repaired and (trade.venue, trade.symbol) in past for trade in trades)

    def unread(self, trades: Iterable[Trade]) -> dict[str, int]:
        """The streams that must be looked into before `fresh` can tell, and back to when (ns)."""
        if self._remembered >= REMEMBERED:
            self._tails.clear()
            self._remembered = 0
        found: dict[str, int] = {}
        past = self._past
        for trade in trades:
            if (trade.repaired or (trade.venue, trade.symbol) not in past) and self._is_doubtful(trade):
                since = (trade.ts_event or 0) - BEFORE_NS
                tail = self._tails.get(trade.symbol)
                if tail is None or tail.back_to is None or since < tail.back_to:
                    found[trade.symbol] = min(since, found.get(trade.symbol, since))
        return found

    def read(self, symbol: str, back_to: int, ids: Iterable[tuple[str, str]]) -> None:
        """These are in the stream, and nothing else that was added since then."""
        tail = self._tails.setdefault(symbol, Tail())
        before = len(tail.ids)
        tail.ids.update(ids)
        tail.back_to = back_to if tail.back_to is None else min(back_to, tail.back_to)
        self._remembered += len(tail.ids) - before

    def fresh(self, trades: Sequence[Trade]) -> list[Trade]:
        """Those that are not there. They are to be written now, in this order: asked about again they would count as there."""
        past = self._past
        return [
            trade for trade in trades if (not trade.repaired and (trade.venue, trade.symbol) in past) or not self._is_there(trade)
        ]

    def doubt(self, symbols: Collection[str], record: Mapping[Series, Progress]) -> None:
        """Not all is there that the record says of these: of what it covers their streams are asked, as after a start."""
        self.at_open |= {series: known for series, known in record.items() if series[1] in symbols}
        self._past = {series for series in self._past if series[1] not in symbols}
        self._spilled = {series: ids for series, ids in self._spilled.items() if series[1] not in symbols}
        self._tails = {symbol: tail for symbol, tail in self._tails.items() if symbol not in symbols}

    def _is_doubtful(self, trade: Trade) -> bool:
        known = self.at_open.get((trade.venue, trade.symbol))
        return known is not None and known.top_id is not None and not known.top.is_before(Mark(trade.trade_id, trade.ts_event))

    def _is_there(self, trade: Trade) -> bool:
        series = (trade.venue, trade.symbol)
        spilled = self._spilled.setdefault(series, set())
        if trade.trade_id in spilled:
            return True
        if self._is_doubtful(trade):
            ids = self._tails[trade.symbol].ids
            if (trade.venue, trade.trade_id) in ids:
                return True
            ids.add((trade.venue, trade.trade_id))
            return False
        if trade.ts_recv >= self._opened_at:
            if not trade.repaired:
                self._past.add(series)
        elif len(spilled) < REMEMBERED:
            spilled.add(trade.trade_id)
        return False
