"""The bench of the features: its market is as busy as said, and both sides mean the same."""

from bench.features import EVENTS_S, LOOK_NS, SECOND, SYMBOLS, Run, Scan, _agree, market


def test_the_market_has_the_symbols_and_the_rate_that_are_named() -> None:
    batches = list(market(1))
    events = [event for batch in batches for event in batch]

    assert (len(events), len({event.symbol for event in events})) == (EVENTS_S, SYMBOLS)
    assert len(batches) == SECOND // LOOK_NS


def test_engine_and_scan_agree() -> None:
    ours, scan = Run(), Scan()
    for batch in market(2, seed=5):
        ours.take(batch)
        for event in batch:
            if event.symbol == "C0USDT":
                scan.take(event)

    _agree(ours.engine, "C0USDT", scan)
    assert 0 < ours.published <= 2 * 10 * SYMBOLS + SYMBOLS
