"""Pieces of packed messages, by the position that they follow."""

from marketd.api.stream.packs import Pack, Packs


def test_a_piece_is_found_by_the_position_it_follows() -> None:
    packs = Packs()
    packs.keep(10, Pack(b"b", 20))
    packs.keep(0, Pack(b"a", 10))

    assert (packs.after(0), packs.after(10), packs.after(5)) == (Pack(b"a", 10), Pack(b"b", 20), None)
    assert [packs.begins_after(pos) for pos in (0, 5, 10)] == [10, 10, None]


def test_what_is_held_is_counted_and_what_is_forgotten_is_freed() -> None:
    packs = Packs()
    held = [packs.keep(start, Pack(b"x" * size, start + 10)) for start, size in ((0, 3), (10, 4), (20, 5), (10, 6))]

    assert held == [3, 4, 5, 2]
    assert packs.forget(11) == 9
    assert (packs.after(10), packs.after(20)) == (None, Pack(b"x" * 5, 30))
    assert packs.forget(11) == 0
