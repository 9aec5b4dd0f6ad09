"""Until when a window is touched by a gap."""

from marketd.analysis.doubts import Doubts
from marketd.analysis.windows import SECOND
from tests.samples import T0, gap


def test_a_gap_is_doubt_until_it_is_filled_piece_by_piece() -> None:
    doubts = Doubts()
    assert doubts.gap(gap(5, 9), T0)
    assert not doubts.gap(gap(5, 9, cause="being repaired: soon"), T0)
    doubts.gap(gap(5, 7, "filled"), T0)
    assert doubts.causes(0) == ("ids jumped",)
    doubts.gap(gap(8, 9, "filled"), T0)

    assert doubts.causes(0) == ()


def test_a_gap_that_stays_is_doubt_until_the_window_has_passed_it() -> None:
    doubts = Doubts()
    doubts.gap(gap(5, 9, to_ts=T0), T0)
    doubts.gap(gap(5, 9, "unrecoverable"), T0)

    assert doubts.causes(T0 - 1)
    assert not doubts.causes(T0)


def test_a_line_that_was_down_is_doubt_from_then_until_the_window_has_passed_its_return() -> None:
    doubts = Doubts()
    doubts.down("disconnected", "reset")
    assert doubts.causes(T0 + 3600 * SECOND) == ("disconnected: reset",)
    doubts.up(T0)

    assert (doubts.line, doubts.causes(T0 - 1)) == ("connected", ("disconnected: reset",))
    assert doubts.causes(T0) == ()
