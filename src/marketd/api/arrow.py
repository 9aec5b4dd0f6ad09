"""Candles as an Arrow stream; needs pyarrow, the extra `frames`.

Numbers are text columns: Arrow has no number type that keeps the digits of every market, and text casts to any of them.
The stream is that of https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format (read 2026-11-21).
"""

import io
from collections.abc import Sequence

import pyarrow as pa

from marketd.api.rows import EXTRA, NUMBERS
from marketd.model.series import CandleSeries
from marketd.stores.archive import Row

TIME = pa.timestamp("ns", tz="UTC")
NAMES = pa.dictionary(pa.int8(), pa.utf8())
TYPES = {"closed": pa.bool_(), "revision": pa.int64(), "source": pa.utf8()}


class Arrow:
    """One stream of record batches."""

    media_type = "application/vnd.apache.arrow.stream"

    def __init__(self, series: CandleSeries, include: Sequence[str]) -> None:
        self._series = series
        self._more = [name for name in EXTRA if name in set(include)]
        self._schema = pa.schema(
            [(name, NAMES) for name in ("exchange", "symbol", "timeframe")]
            + [(name, TIME) for name in ("open_time", "close_time")]
            + [(name, pa.utf8()) for name in NUMBERS]
            + [(name, TYPES[name]) for name in self._more]
        )
        self._sink = io.BytesIO()
        self._writer = pa.ipc.new_stream(self._sink, self._schema)

    def head(self) -> bytes:
        return self._written()

    def rows(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        columns = [
            pa.DictionaryArray.from_arrays(pa.array([0] * len(rows), pa.int8()), pa.array([name])) for name in self._series
        ]
        columns += [pa.array([getattr(row, name) for row in rows], TIME) for name in ("open_time", "close_time")]
        columns += [pa.array([getattr(row, name) for row in rows], pa.utf8()) for name in NUMBERS]
        columns += [pa.array([getattr(row, name) for row in rows], TYPES[name]) for name in self._more]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        return self._written()

    def tail(self) -> bytes:
        self._writer.close()
        return self._written()

    def _written(self) -> bytes:
        found = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return found
