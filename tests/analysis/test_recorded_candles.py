"""The indicators on recorded candles of real coins, against a plain reference in decimals and against another library."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from talipp.indicators import BB, EMA, RSI, SMA, TTM, VWAP, StochRSI
from talipp.ohlcv import OHLCV

from marketd.analysis.closed import CANDLES, Closed, of_cache, of_stored
from marketd.analysis.scan import scan
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import analyse
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, timeframe
from tests.analysis.candles import Made, cached
from tests.analysis.indicators_reference import everything

CONFIG = AnalysisConfig()
JUDGED = 12  # candles of each recording, the last ones

RECORDED = (
    "binance/candles/freqtrade_dl/*-1h.csv.gz",
    "binance/candles/freqtrade_dl/*-4h.csv.gz",
    "binance/candles/octobot/*-5m-*.csv.gz",
    "binance/candles/octobot/*-15m-*.csv.gz",
    "binance/candles/octobot/*-1h-*.csv.gz",
    "binance/candles/octobot/*-4h-*.csv.gz",
    "binance/candles/XRPETH-5m-*.csv.gz",
    "binance/candles/DASHUSDT-1m-*.csv.gz",
    "binance/candles/LTCUSDT-1m-*.csv.gz",
    "bybit/candles/*-1h-*.csv.gz",
    "bybit/candles/*-5m-*.csv.gz",
    "bittrex/candles/*-5m-*.csv.gz",
)


def rows_of(recording: Path) -> list[Made]:
    with gzip.open(recording, "rt") as file:
        return [Made(int(row[0]) * 1_000_000, *row[1:6]) for row in list(csv.reader(file))[1:]]


def windows(recording: Path) -> Iterator[tuple[Closed, list[Made]]]:
    """Some windows of 500 in a row, with the candles that they hold."""
    symbol, name, *_ = recording.name.removesuffix(".csv.gz").split("-")
    series, rows = CandleSeries("recorded", symbol, name), rows_of(recording)
    step = timeframe(name).step
    breaks = [0, *(at for at, (one, two) in enumerate(pairwise(rows), 1) if two.open_time - one.open_time != step), len(rows)]
    ends = [end for start, stop in pairwise(breaks) for end in range(start + CANDLES, stop + 1)]
    for end in sorted({ends[0], ends[len(ends) // 2], ends[-1]}) if ends else ():
        found = of_stored(series, rows[end - CANDLES : end]).window()
        assert isinstance(found, Closed), found
        yield found, rows[end - CANDLES : end]


def ours(window: Closed) -> dict[str, float | bool | None]:
    seen, read = scan(window, CONFIG), analyse(window, CONFIG)
    assert read.ribbon is not None
    assert read.squeeze is not None
    assert read.stochastic_rsi is not None
    bands, squeeze, stochastic = seen.bollinger, read.squeeze, read.stochastic_rsi
    return {
        **{f"ema_{period}": value for period, value in zip(read.ribbon.periods, read.ribbon.values, strict=True)},
        "width": read.ribbon.width,
        "upper": bands.upper, "middle": bands.middle, "lower": bands.lower,
        "percent_b": bands.percent_b, "bandwidth": bands.bandwidth,
        "squeeze_bollinger": squeeze.bollinger, "squeeze_keltner": squeeze.keltner, "on": squeeze.on,
        "momentum": squeeze.momentum, "momentum_before": squeeze.momentum_before,
        "rsi": seen.rsi, "k": stochastic.k, "d": stochastic.d, "k_before": stochastic.k_before, "d_before": stochastic.d_before,
        "vwap_day": seen.vwap_day, "vwap_rolling": seen.vwap_rolling, "vwap_distance": seen.vwap_distance,
    }  # fmt: skip


def by_talipp(rows: Sequence[Made]) -> dict[str, float | bool | None]:
    """Its averages and its RSI begin with plain means as TA-Lib's do, so both may be asked for the same 500 candles.

    Its TTM has a channel of its own (exponential middle, Wilder's range): of it only the momentum is ours. Ours is put
    together of its plain means.
    """
    closes = [float(row.close) for row in rows]
    candles = [OHLCV(*(float(text) for text in row[1:6])) for row in rows]
    ranges = [max(two.high, one.close) - min(two.low, one.close) for one, two in pairwise(candles[-21:])]
    bands, ttm = BB(20, 2, closes[-20:])[-1], TTM(20, input_values=candles[-60:])
    stochastic = StochRSI(14, 14, 3, 3, closes)
    reach, keltner = bands.ub - bands.cb, 1.5 * SMA(20, ranges)[-1]
    day = rows[-1].open_time // DAY * DAY
    rolling, today = VWAP(candles[-24:])[-1], [one for one, row in zip(candles, rows, strict=True) if row.open_time >= day]
    found: dict[str, float | bool | None] = {f"ema_{period}": EMA(period, closes)[-1] for period in (8, 13, 21, 34, 55)}
    return found | {
        "upper": bands.ub, "middle": bands.cb, "lower": bands.lb, "bandwidth": (bands.ub - bands.lb) / bands.cb,
        "squeeze_bollinger": reach, "squeeze_keltner": keltner, "on": reach < keltner,
        "momentum": ttm[-1].histogram, "momentum_before": ttm[-2].histogram,
        "rsi": RSI(14, closes)[-1],
        "k": stochastic[-1].k, "d": stochastic[-1].d, "k_before": stochastic[-2].k, "d_before": stochastic[-2].d,
        "width": 100 * (max(found.values()) - min(found.values())) / closes[-1],  # of the averages
        "percent_b": (closes[-1] - bands.lb) / (bands.ub - bands.lb),
        "vwap_rolling": rolling, "vwap_distance": 100 * (closes[-1] - rolling) / rolling,
        "vwap_day": VWAP(today)[-1] if rows[0].open_time <= day else None,
    }  # fmt: skip


def differing(
    mine: dict[str, float | bool | None], other: dict[str, float | bool | None], scale: dict[str, float]
) -> dict[str, tuple[object, object]]:
    """What is not within 1e-9 relative; or, by name, of that `scale`."""
    return {
        name: (mine[name], value)
        for name, value in other.items()
        if mine[name] != (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9 * scale.get(name, 0.0)))
    }


@pytest.mark.recorded(*RECORDED)
def test_every_indicator_is_what_its_formula_gives_in_decimals(recording: Path) -> None:
    for window, rows in windows(recording):
        assert differing(ours(window), everything(rows), {}) == {}


@pytest.mark.recorded(*RECORDED)
def test_every_indicator_is_what_another_library_gives(recording: Path) -> None:
    for window, rows in windows(recording):
        # It works on prices, not on differences: of figures that are small against the price it keeps fewer digits.
        price = float(rows[-1].close)
        small = dict.fromkeys(("squeeze_bollinger", "squeeze_keltner", "momentum", "momentum_before"), price * 1e-3)
        small |= {"bandwidth": 1e-3, "percent_b": 1e-2} | dict.fromkeys(("k", "d", "k_before", "d_before"), 1.0)

        other = by_talipp(rows)
        assert differing(ours(window), other, small) == {}
        assert other.keys() == ours(window).keys()


@pytest.mark.recorded(*RECORDED)
def test_the_cache_gives_the_signals_that_the_archive_gives_whatever_the_forming_candle_is(recording: Path) -> None:
    """The bytes that are published; so they are the same each time that a candle is looked at."""
    symbol, name, *_ = recording.name.removesuffix(".csv.gz").split("-")
    series, rows = CandleSeries("recorded", symbol, name), rows_of(recording)[-CANDLES - JUDGED - 1 :]
    stored = of_stored(series, rows)
    for end in range(CANDLES, len(rows)):
        begun = rows[end]._replace(high=rows[end].open, low=rows[end].open, close=rows[end].open)
        live = [
            analyse(of_cache(series, *cached([*rows[end - CANDLES : end], last], timeframe(name).step)), CONFIG)
            for last in (begun, rows[end])
        ]
        expected = analyse(stored.window(end), CONFIG)
        if expected.close_time != begun.open_time:  # a back-test leaves such a candle out
            assert [(), ()] == [one.signals for one in live]
        else:
            assert [msgspec.json.encode(expected)] * 2 == [msgspec.json.encode(one) for one in live]


@pytest.mark.soak
@pytest.mark.recorded
def test_signals_come_of_the_recordings(shared_data: Path) -> None:
    """So that the test above has something to compare: it is run on all of them in `make soak` too."""
    signals: Counter[str] = Counter()
    for recording in sorted(path for pattern in RECORDED for path in shared_data.glob(pattern)):
        symbol, name, *_ = recording.name.removesuffix(".csv.gz").split("-")
        stored = of_stored(CandleSeries("recorded", symbol, name), rows_of(recording)[-CANDLES - JUDGED - 1 :])
        for end in range(CANDLES, len(stored)):
            signals[symbol] += len(analyse(stored.window(end), CONFIG).signals)

    assert sum(count > 0 for count in signals.values()) >= 30, signals


@pytest.mark.soak
@pytest.mark.recorded
def test_the_recordings_are_of_thirty_coins_and_more(shared_data: Path) -> None:
    found = sorted(path for pattern in RECORDED for path in shared_data.glob(pattern))
    coins = {path.name.split("-")[0] for path in found if next(windows(path), None)}

    assert len(coins) >= 30, sorted(coins)
