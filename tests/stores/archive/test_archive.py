"""The archive as its users see it, on each kind of database."""

import pytest

from marketd.clock import ManualClock
from marketd.errors import ConfigError, StartError
from marketd.model.events import Candle
from marketd.model.series import CandleSeries
from marketd.stores.archive import Archive, Page, Row, Written, open_archive
from marketd.stores.archive.columns import NS_MAX
from tests.stores.archive.conftest import DIGITS, SERIES, at, candle, have, missing, page


async def test_candles_come_back_with_their_digits_oldest_first(archive: Archive) -> None:
    await archive.put(page([candle(0), candle(1)], (0, 2), have(0, 2)))

    expected = [Row(at(minute), at(minute + 1), *DIGITS, True, 0, "backfill", at(minute) + 7) for minute in (0, 1)]

    assert expected == await archive.candles(SERIES, 0, NS_MAX)


async def test_the_same_page_again_changes_nothing(archive: Archive) -> None:
    whole = page([candle(minute) for minute in range(5)], (0, 5), have(0, 5))

    assert Written(5, 0, 0) == await archive.put(whole)
    assert Written(0, 0, 5) == await archive.put(whole)
    assert [have(0, 5)] == await archive.ledger(SERIES)


async def test_a_range_is_half_open_and_a_limit_takes_the_oldest_or_the_newest(archive: Archive) -> None:
    await archive.put(page([candle(minute) for minute in range(10)], (0, 10)))

    async def opens(start: int, end: int, **options: int) -> list[int]:
        return [(row.open_time - at(0)) // (at(1) - at(0)) for row in await archive.candles(SERIES, start, end, **options)]  # type: ignore[arg-type]

    assert [2, 3, 4] == await opens(at(2), at(5))
    assert [3, 4, 5] == await opens(at(2) + 1, at(5) + 1)
    assert [2, 3] == await opens(at(2), at(9), limit=2)
    assert [7, 8] == await opens(at(2), at(9), limit=2, newest=True)
    assert [] == await opens(at(5), at(5))


async def test_a_stream_gives_every_row_once_in_batches(archive: Archive) -> None:
    await archive.put(page([candle(minute) for minute in range(25)], (0, 25)))
    batches = [batch async for batch in archive.stream(SERIES, at(1), at(25), batch=10)]

    assert [10, 10, 4] == [len(batch) for batch in batches]
    assert await archive.candles(SERIES, at(1), at(25)) == [row for batch in batches for row in batch]


async def test_a_page_is_stored_whole_or_not_at_all(archive: Archive) -> None:
    off_the_grid = have(0, 2)._replace(stop=at(2) - 1)
    with pytest.raises(AssertionError, match="grid"):
        await archive.put(page([candle(0)], (0, 2), off_the_grid))

    assert [] == await archive.candles(SERIES, 0, NS_MAX)
    assert [] == await archive.ledger(SERIES)


@pytest.mark.parametrize("minutes", [(1, 0), (1, 1), (0, 7)])
async def test_a_page_out_of_order_or_beyond_its_span_is_refused(archive: Archive, minutes: tuple[int, int]) -> None:
    with pytest.raises(AssertionError):
        await archive.put(page([candle(minute) for minute in minutes], (0, 5)))


async def test_series_do_not_mix(archive: Archive) -> None:
    other = CandleSeries("kraken", *SERIES[1:])
    theirs = Page(other, page([], (0, 1)).span, [moved(candle(0), "kraken")], [have(0, 1)], "live")
    await archive.put(page([candle(0), candle(1)], (0, 2), have(0, 2)))
    await archive.put(theirs)

    assert [SERIES, other] == await archive.series()
    assert [2, 1] == [summary.count for summary in await archive.summary()]
    assert 1 == len(await archive.candles(other, 0, NS_MAX))


def moved(one: Candle, venue: str) -> Candle:
    return Candle(venue, one.symbol, None, one.ts_recv, one.timeframe, one.open_time, one.close_time, *DIGITS, True)


async def test_what_is_stored_outlives_the_archive(url: str, clock: ManualClock) -> None:
    async with open_archive(url, clock) as first:
        await first.put(page([candle(0)], (0, 2), have(0, 1), missing(1, 2)))
    async with open_archive(url, clock, upgrade=False) as second:
        rows, stretches = await second.candles(SERIES, 0, NS_MAX), await second.ledger(SERIES)

    assert (1, [have(0, 1), missing(1, 2)]) == (len(rows), stretches)


async def test_a_database_without_our_tables_is_not_served_unless_it_may_be_upgraded(url: str, clock: ManualClock) -> None:
    with pytest.raises(StartError, match="marketd db upgrade"):
        async with open_archive(url, clock, upgrade=False):
            pass


async def test_an_address_that_is_none_is_refused(clock: ManualClock) -> None:
    with pytest.raises(ConfigError, match="expected postgresql://"):
        async with open_archive("mysql://host/db", clock):
            pass


async def test_a_ping_says_nothing_when_all_is_well(archive: Archive) -> None:
    assert await archive.ping() is None  # type: ignore[func-returns-value]
