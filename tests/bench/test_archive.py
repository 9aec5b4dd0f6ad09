"""What the bench of the archive puts in."""

from itertools import pairwise

from bench.archive import COUNT, MINUTES, PARTS, START, candles, known, page, plain
from marketd.model.timeframes import MINUTE
from marketd.stores.archive.columns import second_text


def test_both_sides_write_the_same_page() -> None:
    rows = plain("S1", str, second_text)

    assert COUNT == len(rows) == len(page("S1").candles)
    assert [(row.open, row.volume) for row in candles("S1")] == [(row[5], row[9]) for row in rows]


def test_the_ledger_of_the_scan_is_whole_and_says_something_new_with_each_stretch() -> None:
    stretches = known()

    assert (START, START + MINUTES * MINUTE) == (stretches[0].start, stretches[-1].stop)
    assert all(left.stop == right.start and left.state != right.state for left, right in pairwise(stretches))
    assert PARTS // 40 == sum(row.state == "missing" for row in stretches)
