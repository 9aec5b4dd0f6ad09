"""Whether a page of newest candles can be believed."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from msgspec.structs import replace

from marketd.candles.newest import ASKED, KEPT, Held, Unbelievable, newest
from marketd.model.events import Candle
from marketd.model.timeframes import timeframe

FRAME = timeframe("5m")
NOW = 1_700_000_123_000_000_000
FORMING = FRAME.open_of(NOW)


def page(count: int, last: int = FORMING) -> list[Candle]:
    opens = [last - back * FRAME.step for back in reversed(range(count))]
    return [
        Candle("v", "BTCUSDT", None, NOW, "5m", at, at + FRAME.step, "10.10", "10.20", "10.00", "10.10", "0.500", at != last)
        for at in opens
    ]


def test_the_cache_holds_500_and_the_one_before_them() -> None:
    found = newest(page(ASKED), FRAME, NOW, None)

    assert found.before is not None
    assert (KEPT, FORMING, found.rows[0].open_time) == (len(found.rows), found.opened, found.before.close_time)
    assert (FORMING // 1_000_000, Decimal("10.10")) == (found.rows[-1].open_time, found.rows[-1].open)


def test_a_young_coin_has_fewer_and_none_before() -> None:
    found = newest(page(20), FRAME, NOW, None)

    assert (20, None) == (len(found.rows), found.before)


@dataclass
class Case:
    what: str
    page: list[Candle]
    why: str
    held: Held | None = None


def changed(**fields: str) -> list[Candle]:
    rows = page(3)
    rows[1] = replace(rows[1], **fields)
    return rows


CASES = [
    Case("nothing", [], "no candles"),
    Case("high below low", changed(high="9.99"), "high and low do not enclose open and close"),
    Case("no number", changed(close="NaN"), "price or volume is no plain number"),
    Case("negative", changed(volume="-1"), "price or volume is no plain number"),
    Case("free", changed(open="0.00", low="0.00"), "price is zero"),
    Case("old", page(3, FORMING - 2 * FRAME.step), "the newest candle is old"),
    Case("of the future", page(3, FORMING + 2 * FRAME.step), "the newest candle is of the future"),
    Case("older than before", page(3, FORMING - FRAME.step), "the newest candle is old", Held(FORMING, 3)),
    Case("shorter than before", page(3), "fewer candles than before", Held(FORMING, 4)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_cannot_be_so_is_refused_whole(case: Case) -> None:
    with pytest.raises(Unbelievable) as raised:
        newest(case.page, FRAME, NOW, case.held)

    assert case.why == str(raised.value)


def test_a_clock_that_is_a_little_off_is_no_reason() -> None:
    for last in (FORMING - FRAME.step, FORMING, FORMING + FRAME.step):
        assert last == newest(page(3, last), FRAME, NOW, None).opened
