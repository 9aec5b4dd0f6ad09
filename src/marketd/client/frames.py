"""Candles as data frames, with the library that is there: polars or pandas, neither of them needed otherwise."""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, get_args

from marketd.client.errors import LibraryMissing
from marketd.client.shapes import Candle

Library = Literal["polars", "pandas"]
Numbers = Literal["float", "text"]
NAMES = ("exchange", "symbol", "timeframe")
TIMES = ("open_time", "close_time")
NUMBERS = ("open", "high", "low", "close", "volume")


def library_for(wanted: Library | None) -> Library:
    """The wanted library, or the first that is there. Raises LibraryMissing that says which there are or what to install."""
    known: tuple[Library, ...] = get_args(Library)
    if wanted is not None and wanted not in known:
        raise LibraryMissing(f"library: found {wanted!r}, expected {' or '.join(known)}, or None for the one that is installed")
    for name in known if wanted is None else (wanted,):
        if find_spec(name) is not None:
            return name
    raise LibraryMissing(f"data frames need {wanted or ' or '.join(known)}: pip install 'marketd[frames]' brings polars")


class Columns:
    """Candles by column, until they are a frame."""

    def __init__(self, library: Library, numbers: Numbers) -> None:
        self._library, self._numbers = library, numbers
        self._found: dict[str, list[Any]] = {name: [] for name in (*NAMES, *TIMES, *NUMBERS)}

    def add(self, candles: Iterable[Candle]) -> None:
        candles = list(candles)
        for name in (*NAMES, *TIMES):
            self._found[name] += [getattr(candle, name) for candle in candles]
        for name in NUMBERS:
            values = [getattr(candle, name) for candle in candles]
            self._found[name] += map(float, values) if self._numbers == "float" else [f"{value:f}" for value in values]

    def frame(self) -> Any:
        library = import_module(self._library)
        if self._library == "pandas":
            frame = library.DataFrame(self._found)
            for name in TIMES:
                frame[name] = library.to_datetime(frame[name], utc=True)
            return frame.astype(dict.fromkeys(NUMBERS, "float64" if self._numbers == "float" else "str"))
        number = library.Float64 if self._numbers == "float" else library.String
        schema = {
            **dict.fromkeys(NAMES, library.String),
            **dict.fromkeys(TIMES, library.Datetime("us", "UTC")),
            **dict.fromkeys(NUMBERS, number),
        }
        return library.DataFrame(self._found, schema=schema)
