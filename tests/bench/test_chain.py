"""The chain's bench: what is sent is what is counted."""

from bench.chain import _slices, measure


def test_a_short_run_stores_what_was_sent() -> None:
    measured = measure(2_000, 0.5)

    assert (0, measured.quotes) == (measured.lost, measured.quotes_stored)
    assert measured.trades > 300
    assert measured.stored_ms(0.99) > 0


def test_long_runs_are_sent_in_slices_that_leave_no_silence() -> None:
    assert [25_000.0, 25_000.0, 10_000.0] == _slices(5_000, 12.0)
