"""What the bench of the candle cache takes for a cycle."""

from bench.cache import COINS, FRAMES, TRIPS, work
from marketd.stores.cache import Write


def test_a_cycle_has_every_array_every_price_and_every_update_once() -> None:
    pipelines = work()
    keys = [one.key for operations in pipelines for one in operations if isinstance(one, Write)]

    assert TRIPS == len(pipelines)
    assert 2 * COINS * len(FRAMES) + COINS == len(keys) == len(set(keys))
