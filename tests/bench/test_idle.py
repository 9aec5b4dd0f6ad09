"""What the bench of quiet symbols asks of the simulated venue."""

from bench.idle import SYMBOLS


def test_the_symbols_are_as_many_as_said_and_all_different() -> None:
    assert (200, 200) == (len(SYMBOLS), len(set(SYMBOLS)))
