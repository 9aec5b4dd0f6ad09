"""Candles of the rows of a REST answer, alike for every venue: oldest first, each once, on the grid, the newest not closed."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from marketd.errors import BadFrame
from marketd.model.digits import number_text
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.timeframes import Timeframe
from marketd.model.times import iso_of_ns
from marketd.venues.venue import UNREADABLE, Answer

Row = tuple[int, object, object, object, object, object]  # open time (ns); open, high, low, close, volume, decoded without loss


def read_rows(
    venue: str, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int, rows: Iterable[Row]
) -> list[Candle]:
    """Candles of an answer's rows, in whatever order. The newest may still be forming, its being there proves the others closed.

    Raises BadFrame for what cannot be read, for a row that does not open where a candle of the timeframe does (the venue's
    weeks or days would be other weeks or days than ours), and for two different rows of one time, of which one must be wrong.
    """
    try:
        return _candles(venue, instrument, timeframe, ts_recv, rows)
    except UNREADABLE as error:
        raise BadFrame(venue, answer.body, str(error)) from error


def check_order(venue: str, answer: Answer, opens: Sequence[int]) -> None:
    """Raises BadFrame for open times that do not grow from row to row."""
    for before, after in pairwise(opens):
        if after <= before:
            why = f"two rows open at {_time(after)}" if after == before else f"{_time(before)} stands before {_time(after)}"
            raise BadFrame(venue, answer.body, f"rows not oldest first, each once: {why}")


def _candles(venue: str, instrument: Instrument, timeframe: Timeframe, ts_recv: int, rows: Iterable[Row]) -> list[Candle]:
    known: dict[int, Row] = {}
    for row in rows:
        before = known.setdefault(row[0], row)
        if before is not row and before != row:
            raise ValueError(f"two different candles open at {_time(row[0])}")
    newest = max(known, default=0)
    candles = []
    for opened in sorted(known):
        if timeframe.open_of(opened) != opened:
            raise ValueError(f"no candle of {timeframe.name} opens at {_time(opened)}")
        open_, high, low, close, volume = map(number_text, known[opened][1:])
        candles.append(
            Candle(
                venue, instrument.symbol, None, ts_recv, timeframe.name, opened, timeframe.close_of(opened),
                open_, high, low, close, volume, opened != newest,
            )
        )  # fmt: skip
    return candles


def _time(ts: int) -> str:
    try:
        return iso_of_ns(ts)
    except (ValueError, OverflowError, OSError):
        return f"{ts} ns"
