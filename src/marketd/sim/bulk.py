"""The pretend venue's public archive: candles of whole months and days as zip files with checksums, made when asked for."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from marketd.sim.candles import CandleRow, Timeframe
from marketd.sim.faults import Fault
from marketd.sim.market import SymbolMarket
from marketd.sim.wire import Response

if TYPE_CHECKING:
    from marketd.sim.venue import SimVenue

PATH = re.compile(
    r"/data/spot/(?:monthly|daily)/klines/(?P<symbol>\w+)/(?P<timeframe>\w+)/"
    r"(?P<name>(?P=symbol)-(?P=timeframe)-(?P<date>\d{4}-\d\d(?:-\d\d)?))\.zip(?P<checksum>\.CHECKSUM)?"
)
ALL = 10_000_000
LOST_EACH = 7


def bulk_answer(venue: SimVenue, path: str, columns: Callable[[CandleRow, Timeframe, SymbolMarket], list[Any]]) -> Response:
    """The file or its checksum; 404 for what is not over yet or does not exist."""
    asked = PATH.fullmatch(path)
    state = venue.market.symbols.get(asked["symbol"]) if asked else None
    timeframe = venue.timeframes.get(asked["timeframe"]) if asked else None
    if asked is None or state is None or timeframe is None:
        return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404, content_type="application/xml")
    first, stop = _span_ms(asked["date"])
    if stop > venue.now_ms():
        return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404, content_type="application/xml")

    def met(name: str) -> bool:
        def fits(fault: Fault) -> bool:
            return fault.symbol in {None, state.symbol}

        return venue.deck.first(name, venue.clock_ns(), fits) is not None

    rows = [columns(row, timeframe, state) for row in venue.rows.page(state.symbol, timeframe, first, stop - 1, ALL)]
    if not rows:
        return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404, content_type="application/xml")
    if met("missing_rows"):
        rows = [row for number, row in enumerate(rows, 1) if number % LOST_EACH]
    if met("microseconds"):
        rows = [[row[0] * 1000, *row[1:6], row[6] * 1000 + 999, *row[7:]] for row in rows]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{asked['name']}.csv"), text, zipfile.ZIP_DEFLATED)
    if asked["checksum"] is None:
        return Response(content.getvalue(), content_type="application/zip")
    digest = hashlib.sha256(b"another" if met("wrong_checksum") else content.getvalue()).hexdigest()
    return Response(f"{digest}  {asked['name']}.zip\n".encode(), content_type="application/octet-stream")


def _span_ms(date: str) -> tuple[int, int]:
    """The first moment of the month or day, and that of the next one."""
    if len(date) == 7:
        first = datetime.strptime(date + "-01", "%Y-%m-%d").replace(tzinfo=UTC)
        following = (first + timedelta(days=31)).replace(day=1)
    else:
        first = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
        following = first + timedelta(days=1)
    return int(first.timestamp()) * 1000, int(following.timestamp()) * 1000
