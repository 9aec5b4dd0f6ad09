"""Which trades are new to who had some live and asked the store for others."""

from hypothesis import given
from hypothesis import strategies as st

from marketd.client.filling import KNOWN_MAX, OVERLAP_NS, Trail
from tests.samples import T0, trade


def test_without_a_trade_there_is_no_place_to_ask_from() -> None:
    trail = Trail()

    assert trail.start is None
    trail.came_first(trade(1000))
    assert trail.start == trade(1000).ts_event - OVERLAP_NS  # type: ignore[operator]


def test_a_late_repair_does_not_move_the_place_back() -> None:
    trail = Trail()
    trail.came_live(trade(5000))
    trail.came_live(trade(3, repaired=True))
    trail.came_live(trade(9000, repaired=True))

    assert trail.start == trade(5000).ts_event - OVERLAP_NS  # type: ignore[operator]
    assert Trail().came_stored(trade(1, ts_event=None))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=60))
def test_each_comes_once_from_wherever_first(steps: list[tuple[bool, int]]) -> None:
    trail, came, live = Trail(), [], set()
    for is_live, number in steps:
        if is_live and number in live:
            continue  # the server says each once
        if is_live:
            live.add(number)
        if (trail.came_live if is_live else trail.came_stored)(trade(number)):
            came.append(number)

    assert came == list(dict.fromkeys(number for _, number in steps))
    assert trail.lacking == -sum(number not in live for number in came)


def test_a_number_that_is_used_again_is_another_trade() -> None:
    trail = Trail()
    trail.came_live(trade(1))

    assert trail.came_stored(trade(1, ts_event=T0 + 1))


def test_what_is_known_is_bounded() -> None:
    trail = Trail()
    for number in range(KNOWN_MAX + 10):
        trail.came_live(trade(number))

    assert trail.came_stored(trade(9))
    assert not trail.came_stored(trade(KNOWN_MAX - 1))
