"""The scanner's view: null until there is enough, a score from 0 to 100 by its parts, places by the score."""

import msgspec
import pytest

from marketd.analysis.closed import of_stored
from marketd.analysis.scan import Scan, rank, scan
from marketd.analysis.section import AnalysisConfig
from tests.analysis.candles import SERIES, closed, flat, walk

CONFIG = AnalysisConfig()


def test_without_500_candles_every_value_is_null_and_the_reason_is_said() -> None:
    rows = walk(499)
    found = msgspec.to_builtins(scan(of_stored(SERIES, rows).window(), CONFIG))

    assert found["quality"] == {"ok": False, "reason": "499 closed candles, 500 are needed", "candles": 499}
    assert [found[name] for name in ("rsi", "vwap_day", "vwap_rolling", "score")] == [None] * 4
    assert set(found["bollinger"].values()) | set(found["parts"].values()) == {None}
    assert found["close"] == rows[-1].close


def test_the_score_is_the_weighted_mean_of_its_parts() -> None:
    found = scan(closed(walk(500)), CONFIG)
    parts = found.parts

    assert parts.rsi is not None
    assert parts.bollinger is not None
    assert parts.vwap is not None
    assert found.score == pytest.approx(0.4 * parts.rsi + 0.3 * parts.bollinger + 0.3 * parts.vwap, rel=1e-12)


def test_a_part_goes_from_full_to_none_in_a_straight_line() -> None:
    found = scan(closed(walk(500)), CONFIG)
    assert found.rsi is not None
    middle = AnalysisConfig(score_rsi_full=found.rsi - 10, score_rsi_none=found.rsi + 10)
    upside_down = AnalysisConfig(score_rsi_full=found.rsi + 10, score_rsi_none=found.rsi + 5)

    assert scan(closed(walk(500)), middle).parts.rsi == pytest.approx(50)
    assert scan(closed(walk(500)), upside_down).parts.rsi == 0


def test_a_flat_market_has_bands_but_no_score() -> None:
    found = scan(closed(flat()), CONFIG)

    assert (found.rsi, found.score, found.vwap_rolling, found.vwap_distance) == (None, None, 0.1, 0.0)
    assert (found.bollinger.upper, found.bollinger.lower, found.bollinger.percent_b) == (0.1, 0.1, None)
    assert found.bollinger.bandwidth == 0


def test_a_part_without_weight_may_be_missing() -> None:
    only_vwap = AnalysisConfig(score_rsi_weight=0, score_bollinger_weight=0)

    assert scan(closed(flat()), only_vwap).score == 50


def test_without_trades_there_is_no_average_price() -> None:
    found = scan(closed(flat(volume="0")), CONFIG)

    assert (found.vwap_day, found.vwap_rolling, found.vwap_distance) == (None, None, None)


def scored(symbol: str, score: float | None) -> Scan:
    return msgspec.structs.replace(scan(closed(flat()), CONFIG), symbol=symbol, score=score)


def test_places_go_by_score_then_by_symbol_and_last_come_those_without() -> None:
    coins = [scored("C", None), scored("B", 7.0), scored("A", None), scored("E", 0.0), scored("A2", 7.0), scored("D", 90.0)]
    found = [(one.rank, one.scan.symbol) for one in rank(coins)]

    assert found == [(1, "D"), (2, "A2"), (3, "B"), (4, "E"), (None, "A"), (None, "C")]
    assert rank(coins) == rank(reversed(coins))
