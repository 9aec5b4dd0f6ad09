"""What a back-test reads of the archive, and what it does without."""

from pathlib import Path

import pytest

from marketd.analysis.closed import Closed
from marketd.backtest.stored import Hole, Stored, read_stored, stored_of
from marketd.clock import SystemClock
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.stores import archive as archives
from marketd.stores.archive import Page
from tests.analysis.candles import HOUR, Made, walk
from tests.backtest.markets import ALL, at, coin, rows_of

SERIES = CandleSeries("made", "AAAUSDT", "1h")


def refusal(found: Stored | str) -> str:
    assert isinstance(found, str)
    return found


def test_candles_before_the_span_are_there_to_begin_with() -> None:
    found = coin("AAAUSDT", walk(700), Interval(at(600), at(700)))

    assert found.first == 600
    assert len(found.candles) == 700


def test_500_candles_and_fewer_are_not_enough() -> None:
    found = refusal(stored_of(SERIES, rows_of(walk(500)), ALL))

    assert found.startswith("500 closed candles are stored from 500 before the span on; the first 500 are needed")


def test_a_span_without_candles_is_said() -> None:
    assert refusal(stored_of(SERIES, rows_of(walk(600)), Interval(at(700), at(800)))) == "no closed candle is stored in the span"


def test_an_impossible_candle_is_named() -> None:
    candles = walk(600)
    candles[5] = candles[5]._replace(high="0.01")

    assert refusal(stored_of(SERIES, rows_of(candles), ALL)).startswith("the candle of 2023-11-15T05:00:00+00:00 cannot be")


def test_holes_are_named_with_what_is_missing() -> None:
    candles = walk(800)
    del candles[600:603]

    assert coin("AAAUSDT", candles).holes == (Hole(at(600), at(603), 3),)


def test_a_candle_without_trades_has_no_open_to_trade_at() -> None:
    candles = walk(600)
    candles[550] = candles[550]._replace(volume="0")
    found = coin("AAAUSDT", candles)

    assert found.opening(550) is None
    assert found.opening(551) == found.prices[551]
    assert found.opening(600) is None


def test_a_forming_candle_is_good_for_its_open_only() -> None:
    found = coin("AAAUSDT", walk(601), forming=1)
    opens = found.opening(600)

    assert len(found.prices) == 600
    assert opens is not None
    assert opens.open_time == at(600)


def test_of_the_candle_after_the_span_the_open_may_be_traded_on_and_nothing_else() -> None:
    found, idle = (coin("AAAUSDT", candles, Interval(at(0), at(600))) for candles in (walk(700), no_trades(walk(700), 600)))
    opens = found.opening(600)

    assert (len(found.candles), len(found.prices)) == (600, 600)
    assert opens is not None
    assert opens.open_time == at(600)
    assert idle.opening(600) is None
    assert coin("AAAUSDT", [*walk(600), *walk(700)[601:]], Interval(at(0), at(600))).opening(600) is None


def no_trades(candles: list[Made], place: int) -> list[Made]:
    return [one._replace(volume="0") if number == place else one for number, one in enumerate(candles)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_archive_is_read_from_500_before_the_span_on(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}" if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    candles = [
        Candle("made", "AAAUSDT", one.open_time, one.open_time, "1h", one.open_time, one.open_time + HOUR, *one[1:6], True)
        for one in walk(1300)
    ]
    async with archives.open_archive(url, SystemClock()) as archive:
        whole = Interval(at(0), at(1300))
        await archive.put(Page(SERIES, whole, candles, [Stretch(*whole, "have", "", 1)], "backfill"))
        found = await read_stored(archive, SERIES, Interval(at(1000), at(1200)))

    assert isinstance(found, Stored)
    opens = found.opening(700)
    assert (found.first, found.prices[0].open_time, found.prices[-1].open_time) == (500, at(500), at(1199))
    assert opens is not None
    assert opens.open_time == at(1200)


def test_a_candle_before_a_hole_is_known_to_be_closed_when_the_next_one_is_there() -> None:
    candles = walk(600)
    del candles[550:552]
    found = coin("AAAUSDT", candles)

    assert [found.proved(place) for place in (548, 549, 550, 597)] == [at(549), at(552), at(553), at(600)]
    assert [isinstance(found.window(place), Closed) for place in (498, 499, 548, 549, 550)] == [False, True, True, False, False]
