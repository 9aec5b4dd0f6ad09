"""Data frames have the range's candles, as numbers to compute with or as text with every digit."""

import importlib.util
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pytest

from marketd.client import LibraryMissing, MarketDataClient
from marketd.client import frames as frames_module
from marketd.client.frames import Columns, library_for
from tests.api.conftest import SERIES
from tests.client.conftest import Served

START, END = datetime(2024, 11, 14, tzinfo=UTC), datetime(2024, 11, 15, tzinfo=UTC)


async def test_polars_frames_have_types_to_compute_with(served: Served) -> None:
    async with MarketDataClient(served.url) as client:
        frame = await client.get_frame(*SERIES, START, END)
        exact = await client.get_frame(*SERIES, START, END, numbers="text")
        nothing = await client.get_frame(*SERIES, "2020-01-01", "2020-01-02")

    assert isinstance(frame, pl.DataFrame)
    assert (25, 91000.5, 1.1234567890123457) == (len(frame), frame["close"][0], frame["volume"][0])
    assert datetime(2024, 11, 14, 17, 30, tzinfo=UTC) == frame["open_time"][0]
    assert "1.123456789012345678" == exact["volume"][0]
    assert (0, frame.schema) == (len(nothing), nothing.schema)


async def test_pandas_frames_are_the_same(served: Served) -> None:
    async with MarketDataClient(served.url) as client:
        frame = await client.get_frame(*SERIES, START, END, library="pandas")
        exact = await client.get_frame(*SERIES, START, END, library="pandas", numbers="text")
        nothing = await client.get_frame(*SERIES, "2020-01-01", "2020-01-02", library="pandas")

    assert isinstance(frame, pd.DataFrame)
    assert (25, 91000.5) == (len(frame), frame["close"].iloc[0])
    assert pd.Timestamp("2024-11-14T17:30:00Z") == frame["open_time"].iloc[0]
    assert "1.123456789012345678" == exact["volume"].iloc[0]
    assert "float64" == str(nothing["close"].dtype)


def test_without_a_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    missing: set[str] = set()

    def find(name: str) -> Any:
        return None if name in missing else real(name)

    monkeypatch.setattr(frames_module, "find_spec", find)

    assert "polars" == library_for(None)
    missing.add("polars")
    assert "pandas" == library_for(None)
    with pytest.raises(LibraryMissing, match="need polars"):
        library_for("polars")
    missing.add("pandas")
    with pytest.raises(LibraryMissing, match=r"polars or pandas: pip install 'marketd\[frames\]'"):
        library_for(None)


def test_no_candles_are_a_frame_too() -> None:
    assert (0, 10) == Columns("polars", "text").frame().shape


def test_a_library_that_is_none_of_ours_is_told_which_there_are() -> None:
    with pytest.raises(LibraryMissing, match="library: found 'numpy', expected polars or pandas"):
        library_for("numpy")  # type: ignore[arg-type]
