"""Faults by name."""

from pathlib import Path

import pytest

from marketd.sim.faults import FAULTS, KEYS, Deck, Fault, parse_duration, parse_faults

S = 1_000_000_000


def test_a_specification_is_read_part_by_part() -> None:
    assert [
        Fault("gap", venue="binance", symbol="BTCUSDT", at_s=5.0),
        Fault("disconnect", every_s=30.0),
        Fault("slow", path="depth", by_s=0.2, p=0.5),
    ] == parse_faults("gap:venue=binance,symbol=BTCUSDT,at=5s; disconnect:every=30s;slow:path=depth,by=200ms,p=0.5;")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gup:at=5s", "'gup'.*did you mean gap.*allowed: disconnect"),
        ("gap:simbol=BTCUSDT", "'simbol'.*did you mean symbol"),
        ("gap:at=soon", "at=soon is not a time such as 5s"),
        ("gap:count=few", "count=few is not a number"),
        ("gap:at", "'at' should be setting=value"),
        ("gap:venue=nyse", "venue=nyse is not simulated; allowed: binance"),
        ("refuse:on=mail", "on=mail is not one of rest, ws, all"),
        ("gap:p=2", "p=2.0 is not within 0 and 1"),
        ("disconnect:every=0s", "every=0.0 is not more than 0"),
    ],
)
def test_an_error_names_the_part_and_what_is_allowed(spec: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_faults(spec, {"binance": None})


def test_durations_have_units() -> None:
    assert [parse_duration(text) for text in ("200ms", "5s", "2m", "1h", "1.5")] == [0.2, 5.0, 120.0, 3600.0, 1.5]


def sent(deck: Deck, now_ns: int, count: int = 6) -> list[bytes]:
    return [frame for i in range(count) for frame in deck.on_frame("c", "BTCUSDT", "trade", b"frame-%d" % i, now_ns)]


def armed(**settings: object) -> Deck:
    deck = Deck(1)
    deck.arm(Fault(**settings), 0)  # type: ignore[arg-type]
    return deck


def test_a_gap_swallows_its_count_and_no_more() -> None:
    assert sent(armed(name="gap", count=2), S) == [b"frame-2", b"frame-3", b"frame-4", b"frame-5"]


def test_a_duplicate_is_sent_twice() -> None:
    assert sent(armed(name="duplicate"), S, 2) == [b"frame-0", b"frame-0", b"frame-1"]


def test_a_reordered_frame_follows_the_next_one() -> None:
    assert sent(armed(name="reorder"), S, 3) == [b"frame-1", b"frame-0", b"frame-2"]


def test_a_garbled_frame_is_not_what_was_sent() -> None:
    frames = sent(armed(name="garble"), S, 2)

    assert frames[0] != b"frame-0"
    assert frames[1] == b"frame-1"


def test_a_fault_waits_for_its_time_and_ends_after_it() -> None:
    deck = armed(name="mute", at_s=5, for_s=2)

    assert [len(sent(deck, at * S)) for at in (4, 6, 8)] == [6, 0, 6]


def test_a_fault_comes_again_each_period() -> None:
    deck = armed(name="gap", count=1, every_s=10)

    assert [len(sent(deck, at * S)) for at in (1, 2, 11)] == [5, 6, 5]


def test_a_fault_of_one_symbol_leaves_the_others_alone() -> None:
    deck = armed(name="mute", symbol="ETHUSDT")

    assert len(sent(deck, S)) == 6


def test_chance_is_drawn_from_the_seed() -> None:
    one, other = armed(name="gap", p=0.5, for_s=9), armed(name="gap", p=0.5, for_s=9)
    frames = sent(one, S, 100)

    assert frames == sent(other, S, 100)
    assert 20 < len(frames) < 80


def test_a_disconnect_fires_once_per_period() -> None:
    deck = armed(name="disconnect", every_s=30)

    assert [len(deck.due(at * S)) for at in (0, 29, 30, 31, 60)] == [0, 0, 1, 0, 1]


def test_a_move_goes_up_and_down_in_turn() -> None:
    deck = armed(name="move", every_s=30)

    assert [[one.total % 2 for one in deck.due(at * S)] for at in (0, 30, 60, 61)] == [[], [1], [0], []]


def test_an_outage_lasts_as_long_as_it_says() -> None:
    deck = armed(name="disconnect", at_s=1, for_s=5)
    deck.due(2 * S)

    assert [deck.is_out(6 * S), deck.is_out(8 * S)] == [True, False]


def test_healing_ends_all_faults_of_a_name() -> None:
    deck = armed(name="mute")
    deck.heal("mute")

    assert len(sent(deck, S)) == 6


def test_the_page_explains_every_fault_and_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sim.md").read_text()

    assert [] == [name for name in [*FAULTS, *KEYS] if f"`{name}`" not in page and f"`{name}=" not in page]
