"""Stored candles and small runs for the tests of the back-test."""

from collections.abc import Sequence

from marketd.analysis.section import AnalysisConfig
from marketd.backtest.result import Result, result_of
from marketd.backtest.running import Run, run
from marketd.backtest.stored import Stored, stored_of
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.paper.section import PaperConfig
from marketd.stores.archive import Row
from tests.analysis.candles import HOUR, T0, Made, walk

ANALYSIS = AnalysisConfig()
TERMS = PaperConfig(allow_short=True)
COINS = {"AAAUSDT": 1, "BBBUSDT": 2, "CCCUSDT": 3}  # and their seeds
ALL = Interval(0, 2**62)


def rows_of(candles: Sequence[Made], forming: int = 0) -> list[Row]:
    """The last `forming` of them are not closed."""
    closed = len(candles) - forming
    return [Row(one.open_time, one.open_time + HOUR, *one[1:6], at < closed, 0, "backfill") for at, one in enumerate(candles)]


def coin(symbol: str, candles: Sequence[Made], span: Interval = ALL, forming: int = 0) -> Stored:
    found = stored_of(CandleSeries("made", symbol, "1h"), rows_of(candles, forming), span)
    assert isinstance(found, Stored), found
    return found


def coins(count: int = 800) -> list[Stored]:
    return [coin(symbol, walk(count, seed)) for symbol, seed in COINS.items()]


def made_run(stored: Sequence[Stored] | None = None, terms: PaperConfig = TERMS) -> tuple[Run, Result]:
    stored = coins() if stored is None else stored
    done = run(stored, ANALYSIS, terms)
    return done, result_of(done, stored, ANALYSIS, terms, {})


def at(hour: int) -> int:
    return T0 + hour * HOUR
