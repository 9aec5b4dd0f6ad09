"""What an answer settles, and what it leaves in doubt."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from marketd.history.settling import (
    ASKED_ONCE,
    CLOSED,
    NO_TRADES,
    NOT_LISTED_YET,
    OUTAGE,
    Empty,
    Known,
    Settled,
    settle,
)
from marketd.model.events import Candle
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.timeframes import DAY, HOUR, MINUTE, timeframe
from marketd.model.times import ns_of_iso
from marketd.venues.hours import NewYorkHours
from tests.samples import T0, candle

M1 = timeframe("1m")
START = M1.open_of(T0)
LATER = START + 400 * DAY


def row(number: int) -> Candle:
    at = START + number * MINUTE
    return replace(candle(), open_time=at, close_time=at + MINUTE, closed=False)


def rows(*numbers: int) -> list[Candle]:
    return [row(number) for number in numbers]


def minutes(start: int, stop: int) -> Interval:
    return Interval(START + start * MINUTE, START + stop * MINUTE)


def judged(
    asked: Interval, found: Sequence[Candle], known: Known | None = None, *, empty: Empty = "no row", again: bool = False
) -> Settled:
    return settle(asked, found, M1, empty, known or Known(LATER, 0), 7, again=again)


def said(settled: Settled) -> list[tuple[int, int, str, str]]:
    return [((one.start - START) // MINUTE, (one.stop - START) // MINUTE, one.state, one.cause) for one in settled.parts]


def test_a_whole_answer_is_had_and_closed_by_the_later_candle() -> None:
    settled = judged(minutes(0, 3), rows(0, 1, 2))

    assert [(0, 3, "have", "")] == said(settled)
    assert [True, True, True] == [one.closed for one in settled.candles]
    assert [] == settled.doubts


def test_the_newest_candle_is_told_as_forming_and_settles_nothing() -> None:
    settled = judged(minutes(0, 10), rows(0, 1, 2), Known(START + 2 * MINUTE, 0))

    assert [(0, 2, "have", "")] == said(settled)
    assert [True, True, False] == [one.closed for one in settled.candles]


def test_a_short_hole_between_two_rows_is_no_trades_where_the_venue_leaves_such_rows_out() -> None:
    assert [(0, 1, "have", ""), (1, 3, "known_empty", NO_TRADES), (3, 4, "have", "")] == said(judged(minutes(0, 4), rows(0, 3)))


def test_half_an_answer_is_asked_for_again() -> None:
    settled = judged(minutes(0, 6), rows(0, 1, 2))

    assert [(0, 3, "have", ""), (3, 6, "missing", ASKED_ONCE)] == said(settled)
    assert [minutes(3, 6)] == settled.doubts


def test_a_second_answer_that_brings_something_shows_that_the_first_was_cut_and_the_rest_stays_in_doubt() -> None:
    first = judged(minutes(0, 8), rows(0, 1, 2, 3))
    second = settle(minutes(4, 8), rows(4, 5), M1, "no row", Known(LATER, 0), 7, ledger=first.parts, again=True)
    third = settle(minutes(6, 8), [], M1, "no row", Known(LATER, 0), 7, ledger=second.parts, again=True)

    assert [(4, 6, "have", ""), (6, 8, "missing", ASKED_ONCE)] == said(second)
    assert [(6, 8, "known_empty", NO_TRADES)] == said(third)


def test_what_is_had_stays_so_whatever_an_answer_lacks_and_only_what_was_in_doubt_is_judged_again() -> None:
    said_before = [
        (0, 2, "have", ""), (2, 4, "missing", ASKED_ONCE), (4, 8, "have", ""),
        (8, 9, "known_empty", OUTAGE), (9, 11, "missing", ASKED_ONCE), (11, 12, "have", ""),
    ]  # fmt: skip
    ledger = [Stretch(*minutes(start, end), state, cause, 1) for start, end, state, cause in said_before]  # type: ignore[arg-type]
    cut = settle(minutes(0, 12), rows(0, 1, 4, 5), M1, "no row", Known(LATER, 0), 7, ledger=ledger, again=True)
    whole = settle(minutes(0, 12), rows(0, 1, 4, 5, 6, 7, 11), M1, "no row", Known(LATER, 0), 7, ledger=ledger, again=True)

    assert [part for part in said(cut) if part[2] != "have"] == [(2, 4, "known_empty", NO_TRADES), (9, 11, "missing", ASKED_ONCE)]
    assert [part for part in said(whole) if part[2] != "have"] == [
        (2, 4, "known_empty", NO_TRADES),
        (9, 11, "known_empty", NO_TRADES),
    ]


def test_any_hole_is_asked_for_again_where_intervals_without_trades_have_rows() -> None:
    settled = judged(minutes(0, 4), rows(0, 3), empty="zero volume")

    assert [minutes(1, 3)] == settled.doubts
    assert (1, 3, "known_empty", OUTAGE) in said(judged(minutes(0, 4), rows(0, 3), empty="zero volume", again=True))


def test_a_busy_market_silent_for_hours_was_shut() -> None:
    found = rows(*range(200), *range(500, 700))
    told = said(judged(minutes(0, 700), found, again=True))

    assert [(0, 200, "have", ""), (200, 500, "known_empty", OUTAGE), (500, 700, "have", "")] == told


def test_a_thin_market_silent_for_hours_had_no_trades() -> None:
    found = rows(*range(0, 200, 4), *range(500, 700, 4))

    assert {NO_TRADES} == {
        cause for _, _, state, cause in said(judged(minutes(0, 697), found, again=True)) if state == "known_empty"
    }


def test_what_the_ledger_knows_around_a_hole_says_whether_the_market_is_busy() -> None:
    around = [Stretch(*minutes(-200, 0), "have", "", 1), Stretch(*minutes(300, 500), "have", "", 1)]
    settled = settle(minutes(0, 300), [], M1, "no row", Known(LATER, 0), 7, ledger=around, again=True)

    assert [(0, 300, "known_empty", OUTAGE)] == said(settled)


def test_the_rest_of_an_outage_on_the_next_page_is_a_part_of_it_however_short() -> None:
    first = judged(minutes(0, 700), rows(*range(200)), again=True)
    ledger = [Stretch(*minutes(0, 200), "have", "", 1), *first.parts]
    second = settle(minutes(700, 1400), rows(*range(720, 1400)), M1, "no row", Known(LATER, 0), 7, ledger=ledger, again=True)

    assert (200, 700, "known_empty", OUTAGE) in said(first)
    assert [(700, 720, "known_empty", OUTAGE), (720, 1400, "have", "")] == said(second)


def test_the_begin_of_an_outage_on_the_page_before_is_a_part_of_it_while_the_rest_is_in_doubt() -> None:
    ledger = [Stretch(*minutes(0, 200), "have", "", 1), Stretch(*minutes(200, 900), "missing", ASKED_ONCE, 1)]
    settled = settle(minutes(200, 230), [], M1, "no row", Known(LATER, 0), 7, ledger=ledger, again=True)

    assert [(200, 230, "known_empty", OUTAGE)] == said(settled)


def test_nothing_before_the_first_candle_is_before_the_listing() -> None:
    known = Known(LATER, first=START + 2880 * MINUTE)
    settled = judged(minutes(0, 2990), rows(*range(2980, 2990)), known)

    assert [(0, 2980, "known_empty", NOT_LISTED_YET), (2980, 2990, "have", "")] == said(settled)
    assert [] == settled.doubts


def test_where_the_listing_is_unknown_empty_from_the_horizon_on_is_before_it() -> None:
    known = Known(LATER, None, horizon=START)
    first = judged(minutes(0, 5), [], known, again=True)
    second = settle(minutes(5, 9), rows(8), M1, "zero volume", known, 7, ledger=first.parts, again=True)

    assert [(0, 5, "known_empty", NOT_LISTED_YET)] == said(first)
    assert [(5, 8, "known_empty", NOT_LISTED_YET), (8, 9, "have", "")] == said(second)


def test_rows_outside_of_what_was_asked_for_settle_nothing() -> None:
    settled = judged(minutes(2, 4), rows(0, 1, 2, 3, 4, 5))

    assert [2, 3] == [(one.open_time - START) // MINUTE for one in settled.candles]
    assert [(2, 4, "have", "")] == said(settled)


def test_a_row_twice_is_one_candle() -> None:
    assert 2 == len(judged(minutes(0, 2), rows(0, 0, 1)).candles)


@given(
    st.sets(st.integers(0, 299)),
    st.integers(0, 300),
    st.sampled_from(["no row", "zero volume", "either"]),
    st.booleans(),
    st.booleans(),
)
def test_every_answer_accounts_for_exactly_what_was_asked_up_to_the_edge(
    numbers: set[int], edge: int, empty: Empty, again: bool, shuffled: bool
) -> None:
    found = rows(*sorted(numbers, reverse=shuffled))
    settled = judged(minutes(0, 300), found, Known(START + edge * MINUTE, 0), empty=empty, again=again)
    covered = Intervals((one.start, one.stop) for one in settled.parts)
    have = Intervals((one.start, one.stop) for one in settled.parts if one.state == "have")

    assert edge * MINUTE == sum(part.length for part in covered)
    assert edge * MINUTE == sum(one.stop - one.start for one in settled.parts)
    assert {number for number in range(edge) if START + number * MINUTE in have} == {
        number for number in numbers if number < edge
    }
    assert sorted(one.open_time for one in settled.candles) == [one.open_time for one in settled.candles]
    assert not (again and settled.doubts)
    assert all(one.closed == (one.open_time < START + edge * MINUTE) for one in settled.candles)


FRIDAY = ns_of_iso("2024-01-12T14:30:00Z")  # the bell; Monday is a holiday
NY = NewYorkHours()


def stock_row(minute: int) -> Candle:
    at = FRIDAY + minute * MINUTE
    return replace(candle(), open_time=at, close_time=at + MINUTE, closed=False)


def of_stock(start: int, stop: int, minutes: Sequence[int], *, again: bool = False) -> list[tuple[int, int, str, str]]:
    span = Interval(FRIDAY + start * MINUTE, FRIDAY + stop * MINUTE)
    settled = settle(span, [stock_row(one) for one in minutes], M1, "no row", Known(LATER, 0), 7, again=again, hours=NY)
    return [((one.start - FRIDAY) // MINUTE, (one.stop - FRIDAY) // MINUTE, one.state, one.cause) for one in settled.parts]


def test_while_the_market_is_shut_nothing_is_there_and_it_is_not_asked_again() -> None:
    bell, shut, opens, next_bell = 390, 630, 4 * 1440 - 330, 4 * 1440
    minutes = [*range(390), *range(next_bell, next_bell + 10)]

    assert [
        (0, bell, "have", ""),
        (bell, shut, "missing", ASKED_ONCE),
        (shut, opens, "known_empty", CLOSED),
        (opens, next_bell, "missing", ASKED_ONCE),
        (next_bell, next_bell + 10, "have", ""),
    ] == of_stock(0, next_bell + 10, minutes)
    assert [(0, bell, "have", ""), (bell, next_bell, "known_empty", CLOSED), (next_bell, next_bell + 10, "have", "")] == [
        (0, bell, "have", ""),
        *_joined(of_stock(0, next_bell + 10, minutes, again=True)),
        (next_bell, next_bell + 10, "have", ""),
    ]


def _joined(said: Sequence[tuple[int, int, str, str]]) -> list[tuple[int, int, str, str]]:
    empty = [one for one in said if one[2] == "known_empty"]

    assert {CLOSED} == {one[3] for one in empty}
    return [(empty[0][0], empty[-1][1], *empty[0][2:])]


def test_trades_before_the_bell_are_had_and_silence_there_is_no_outage() -> None:
    minutes = [-100, *range(300)]

    assert [(-100, -99, "have", ""), (-99, 0, "known_empty", CLOSED), (0, 300, "have", "")] == of_stock(
        -100, 300, minutes, again=True
    )


def test_silence_in_the_session_is_an_outage_as_anywhere() -> None:
    assert (150, 250, "known_empty", OUTAGE) in of_stock(0, 390, [*range(150), *range(250, 390)], again=True)


def test_a_hole_that_lasts_over_the_night_is_judged_by_the_session_in_it() -> None:
    told = of_stock(0, 4 * 1440 + 100, [*range(380), *range(4 * 1440 + 90, 4 * 1440 + 100)])

    assert [(380, 390), (390, 630), (4 * 1440 - 330, 4 * 1440), (4 * 1440, 4 * 1440 + 90)] == [
        (start, stop) for start, stop, state, _ in told if state == "missing"
    ]


def test_an_hour_with_half_an_hour_of_session_is_in_the_session() -> None:
    hour = FRIDAY - 30 * MINUTE
    row_before = replace(candle(), timeframe="1h", open_time=hour - 2 * HOUR, close_time=hour - HOUR)
    settled = settle(
        Interval(hour - 2 * HOUR, hour + HOUR), [row_before], timeframe("1h"), "no row", Known(LATER, 0), 7, again=True, hours=NY
    )

    assert [(-2, "have", ""), (-1, "known_empty", CLOSED), (0, "known_empty", NO_TRADES)] == [
        ((one.start - hour) // HOUR, one.state, one.cause) for one in settled.parts
    ]


def test_a_weekend_before_the_first_candle_is_no_sign_of_a_listing() -> None:
    span = Interval(FRIDAY + DAY, FRIDAY + 4 * DAY + MINUTE)
    row_on_tuesday = stock_row(4 * 1440)
    settled = settle(span, [row_on_tuesday], M1, "no row", Known(LATER, None, span.start), 7, again=True, hours=NY)

    assert {("known_empty", CLOSED), ("have", "")} == {(one.state, one.cause) for one in settled.parts}


def test_a_stock_listed_later_is_before_its_listing_also_at_night() -> None:
    span = Interval(FRIDAY, FRIDAY + 5 * DAY)
    settled = settle(span, [], M1, "no row", Known(LATER, None, span.start), 7, again=True, hours=NY)

    assert [(*span, "known_empty", NOT_LISTED_YET, 7)] == settled.parts


@given(st.integers(-5000, 5000), st.integers(1, 9000), st.data(), st.booleans(), st.sampled_from(["1m", "15m", "1h"]))
def test_every_instant_of_a_stock_is_in_exactly_one_state(
    start: int, length: int, data: st.DataObject, again: bool, name: str
) -> None:
    frame = timeframe(name)
    span = Interval(frame.open_of(FRIDAY + start * MINUTE), frame.close_of(FRIDAY + (start + length) * MINUTE - 1))
    span = Interval(span.start, frame.open_of(span.stop))
    count = span.length // frame.step
    numbers = data.draw(st.sets(st.integers(0, max(0, count - 1)), max_size=40)) if count else set()
    found = [
        replace(candle(), open_time=span.start + n * frame.step, close_time=span.start + (n + 1) * frame.step)
        for n in sorted(numbers)
    ]
    parts = settle(span, found, frame, "no row", Known(LATER, 0), 7, again=again, hours=NY).parts
    have = Intervals((one.start, one.stop) for one in parts if one.state == "have")

    assert span.length == sum(one.stop - one.start for one in parts)
    assert span.length == sum(part.length for part in Intervals((one.start, one.stop) for one in parts))
    assert all(frame.open_of(edge) == edge for one in parts for edge in one[:2])
    assert len(numbers) * frame.step == sum(part.length for part in have)
    assert all(one.open_time in have for one in found)
