"""Summaries count what is stored and what is known."""

from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.stores.archive import Archive, Page, SeriesSummary, Summed
from tests.stores.archive.conftest import SERIES, at, candle, have, missing, page
from tests.stores.archive.test_archive import moved


async def test_a_summary_counts_rows_had_and_rows_the_ledger_does_not_know(archive: Archive) -> None:
    await archive.put(page([candle(minute) for minute in range(5)], (0, 5), have(0, 5)))
    await archive.put(page([candle(9, closed=False)], (9, 10), source="live"))
    empty = Stretch(at(7), at(8), "known_empty", "no trades", 0)
    lost = Stretch(at(8), at(9), "unrecoverable", "the venue lost it", 0)
    await archive.settle(SERIES, [missing(5, 7), empty, lost])
    [summary] = await archive.summary()

    assert SeriesSummary(SERIES, at(0), at(9), 6, 2, 1, 1, None) == summary


async def test_a_series_without_a_ledger_is_counted_row_by_row(archive: Archive) -> None:
    await archive.put(page([candle(minute) for minute in range(5)], (0, 5)))

    assert [5] == [summary.count for summary in await archive.summary()]


async def test_a_series_that_is_only_missing_is_in_the_summary(archive: Archive) -> None:
    await archive.settle(SERIES, [missing(0, 5)])

    assert [SeriesSummary(SERIES, None, None, 0, 5, 0, 0, None)] == await archive.summary()


async def test_months_are_counted_by_the_calendar(archive: Archive) -> None:
    series, its = CandleSeries("bitfinex", "BTCUSD", "1M"), timeframe("1M")
    opens = [its.open_of(at(0))]
    for _ in range(4):
        opens.append(its.close_of(opens[-1]))
    span = Interval(opens[0], opens[4])
    await archive.settle(series, [Stretch(*span, "missing", "never asked", 0)])

    assert [4] == [summary.missing for summary in await archive.summary()]


async def test_series_come_in_order_each_once(archive: Archive) -> None:
    for venue in ("kraken", "bitfinex"):
        for name in ("1m", "5m"):
            series = CandleSeries(venue, "BTCUSD", name)
            await archive.put(
                Page(series, Interval(at(0), at(2)), [moved(candle(0), venue), moved(candle(1), venue)], [], "live")
            )

    assert [(venue, "BTCUSD", name) for venue in ("bitfinex", "kraken") for name in ("1m", "5m")] == await archive.series()


async def test_many_series_are_summed_up_each_with_its_own_figures(archive: Archive) -> None:
    there = [CandleSeries(venue, symbol, "1m") for venue in ("bitfinex", "kraken") for symbol in (f"S{n:03}" for n in range(60))]
    for at_place, series in enumerate(there):
        await archive.settle(series, [missing(0, at_place + 1)])
    await archive.put(page([candle(minute) for minute in range(5)], (0, 5), have(1, 3)))
    found = {one.series: one for one in await archive.summary()}

    assert [*sorted([SERIES, *there])] == list(found)
    assert [*range(1, 121)] == [found[series].missing for series in there]
    assert (at(0), at(4), 5) == (found[SERIES].first, found[SERIES].last, found[SERIES].count)


async def test_a_range_in_numbers_changes_with_every_word(archive: Archive) -> None:
    async def summed() -> Summed:
        return await archive.summed(SERIES, at(0), at(10))

    seen = [await summed()]
    pages = [
        page([candle(0), candle(1)], (0, 2), source="built"),
        page([candle(1)], (1, 2)),
        page([candle(1, close="37000.5")], (1, 2)),
        page([candle(2, closed=False)], (2, 3), source="live"),
        page([candle(2)], (2, 3), source="live"),
    ]
    for one in pages:
        await archive.put(one)
        seen.append(await summed())
    await archive.put(page([candle(2)], (2, 3)))
    await archive.put(page([candle(20)], (20, 21)))

    assert seen[-1] == await summed()
    assert len(set(seen)) == len(seen)
    assert Summed(0, None, 0, 0, 0, None) == seen[0]
    assert Summed(3, at(2), 0, 1, 1, at(2) + 7) == seen[-1]
