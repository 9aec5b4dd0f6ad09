"""The forms in which candles leave: JSON, CSV and Arrow, each a head, batches of rows and a tail."""

from collections.abc import Sequence
from typing import Literal, Protocol

from marketd.api.answers import refuse
from marketd.api.rows import csv_head, csv_rows, json_rows
from marketd.model.series import CandleSeries
from marketd.stores.archive import Row

FormName = Literal["json", "csv", "arrow"]


class Form(Protocol):
    """Bytes of one answer, in this order: head, rows as often as there are some, tail."""

    media_type: str

    def head(self) -> bytes: ...

    def rows(self, rows: Sequence[Row]) -> bytes: ...

    def tail(self) -> bytes: ...


class Json:
    """One array."""

    media_type = "application/json"

    def __init__(self, series: CandleSeries, include: Sequence[str], quoted: bool) -> None:
        self._series, self._include, self._quoted = series, include, quoted
        self._is_begun = False

    def head(self) -> bytes:
        return b"["

    def rows(self, rows: Sequence[Row]) -> bytes:
        body = json_rows(self._series, rows, self._include, self._quoted)
        between = b"," if self._is_begun and body else b""
        self._is_begun = self._is_begun or bool(body)
        return between + body

    def tail(self) -> bytes:
        return b"]"


class Csv:
    """A line of names, then a line for each candle. Its numbers are text by nature."""

    media_type = "text/csv"

    def __init__(self, series: CandleSeries, include: Sequence[str]) -> None:
        self._series, self._include = series, include

    def head(self) -> bytes:
        return csv_head(self._include)

    def rows(self, rows: Sequence[Row]) -> bytes:
        return csv_rows(self._series, rows, self._include)

    def tail(self) -> bytes:
        return b""


def form_of(name: FormName, series: CandleSeries, include: Sequence[str], quoted: bool) -> Form:
    """A form for one answer. Refuses Arrow where its library is not installed."""
    if name == "json":
        return Json(series, include, quoted)
    if name == "csv":
        return Csv(series, include)
    try:
        from marketd.api.arrow import Arrow
    except ImportError:
        refuse("format arrow needs pyarrow on the server: pip install 'marketd[frames]'", "format", ["json", "csv"], 406)
    return Arrow(series, include)
