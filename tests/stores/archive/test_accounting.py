"""The ledger and the gaps as they are stored."""

from marketd.clock import ManualClock
from marketd.model.ledger import OUTAGE
from marketd.stores.archive import Archive, GapRow
from tests.stores.archive.conftest import SERIES, START, at, candle, have, missing, page


async def test_the_ledger_says_what_was_settled_and_gaps_follow(archive: Archive, clock: ManualClock) -> None:
    await archive.settle(SERIES, [have(0, 3), missing(3, 9)])
    await clock.advance(60)
    await archive.put(page([candle(3), candle(4)], (3, 5), have(3, 5, "repaired"), source="repaired"))

    assert [have(0, 3), have(3, 5, "repaired"), missing(5, 9)] == await archive.ledger(SERIES)
    assert [
        GapRow(*SERIES, at(3), at(5), START, clock.now_ns(), "have", "fetch failed"),
        GapRow(*SERIES, at(5), at(9), START, None, "missing", "fetch failed"),
    ] == await archive.gaps()
    assert [at(5)] == [gap.gap_start for gap in await archive.gaps(open_only=True)]


async def test_a_part_of_the_ledger_is_given_in_whole_stretches_and_by_state(archive: Archive) -> None:
    await archive.settle(SERIES, [have(0, 3), missing(3, 6), have(6, 9)])

    assert [have(0, 3), missing(3, 6)] == await archive.ledger(SERIES, at(1), at(4))
    assert [missing(3, 6)] == await archive.ledger(SERIES, at(3), at(6))
    assert [missing(3, 6)] == await archive.ledger(SERIES, states=["missing"])
    assert [] == await archive.ledger(SERIES, at(9))


async def test_without_parts_the_ledger_stays(archive: Archive) -> None:
    await archive.settle(SERIES, [have(0, 3)])
    await archive.put(page([candle(2, closed=False)], (2, 3), source="live"))

    assert [have(0, 3)] == await archive.ledger(SERIES)


async def test_gaps_are_found_by_series(archive: Archive) -> None:
    outage = missing(3, 6)._replace(state="known_empty", cause=f"{OUTAGE}: maintenance")
    await archive.settle(SERIES, [missing(0, 3), outage])

    assert 2 == len(await archive.gaps("bitfinex", "BTCUSD", "1m"))
    assert [] == await archive.gaps("kraken")
    assert [] == await archive.gaps(symbol="ETHUSD")
    assert [] == await archive.gaps(timeframe="1h")
    assert [at(0)] == [gap.gap_start for gap in await archive.gaps(open_only=True)]


async def test_many_stretches_at_once_are_kept_one_by_one(archive: Archive) -> None:
    scattered = [part for minute in range(0, 12_000, 2) for part in (have(minute, minute + 1), missing(minute + 1, minute + 2))]
    await archive.settle(SERIES, scattered)

    assert scattered == await archive.ledger(SERIES)

    await archive.settle(SERIES, [have(0, 12_000)])

    assert [have(0, 12_000)] == await archive.ledger(SERIES)
    assert [] == await archive.gaps(open_only=True)
