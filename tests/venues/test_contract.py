"""What every venue promises, asked of each in VENUES: bad input stays a BadFrame, limits hold, and nothing is left unsaid."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import BadFrame, Refused
from marketd.model.events import Event, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import timeframe
from marketd.venues import VENUES
from marketd.venues.notices import Acked, Declined, Notice, Overlap, Unknown
from marketd.venues.venue import Answer, Detects, Empty, Span, Venue, Wanted
from tests.venues.frames import TS_RECV, Session, read_as_data, sessions

DOCS = Path(__file__).resolve().parents[2] / "docs" / "venues.md"
SESSIONS = sessions()
WITH_FRAMES = sorted({session.venue for session in SESSIONS})
INSTRUMENT = Instrument("any", "BTCUSDT", "BTC-USDT", "BTC", "USDT")
MANY = Instruments(Instrument("any", f"S{number}USDT", f"S{number}-USDT", f"S{number}", "USDT") for number in range(500))
NOW = 1_700_000_000_000_000_000

each_venue = pytest.mark.parametrize("name", sorted(VENUES))
each_session = pytest.mark.parametrize("session", SESSIONS, ids=str)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def open_venue(name: str) -> Venue:
    return VENUES[name]({})


def topics_of(venue: Venue, count: int) -> list[Wanted]:
    """`count` subscriptions, over all channels and timeframes."""
    kinds = [(channel, "") for channel in sorted(venue.channels - {"candle"})]
    kinds += [("candle", name) for name in venue.timeframes if "candle" in venue.channels]
    return [Wanted(*kinds[at % len(kinds)][:1], f"S{at // len(kinds)}USDT", kinds[at % len(kinds)][1]) for at in range(count)]


# Frames


@each_session
def test_frames_say_what_stands_beside_them(session: Session) -> None:
    line = session.open_line()
    told = [read_as_data(line, frame) for frame in session.frames]

    assert told == session.told
    assert session.source
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", session.date)


@pytest.mark.parametrize("name", WITH_FRAMES)
def test_frames_show_both_sides_each_channel_an_answer_a_refusal_and_something_unknown(name: str) -> None:
    told: list[Event | Notice] = []
    for session in sessions(name):
        line = session.open_line()
        for frame in session.frames:
            try:
                told += line.read(frame, TS_RECV)
            except BadFrame:
                continue
    trades = [one for one in told if isinstance(one, Trade)]
    trades += [trade for one in told if isinstance(one, Overlap) for trade in one.trades]
    kinds = {kind for kind in (Acked, Declined, Unknown) if any(isinstance(one, kind) for one in told)}
    types = {one.__class__.__name__ for one in told if isinstance(one, Event)}
    wanted = {"trade": {"Trade"}, "quote": {"Quote"}, "book": {"BookSnapshot", "BookDelta"}, "candle": {"Candle"}}

    sides = {trade.side for trade in trades}
    assert sides >= {"buy", "sell"} or sides == {None}  # some venues never say
    assert {Acked, Declined, Unknown} == kinds
    assert all(types & wanted[channel] for channel in open_venue(name).channels)


def spoiled(frames: list[bytes]) -> Iterator[bytes]:
    """Frames that are no frames any more: empty, cut, nested without end, not text."""
    yield from (b"", b" ", b"{", b"[", b"null", b"0", b'""', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"NaN")
    for frame in frames:
        yield frame[: len(frame) // 2]
        yield frame[:-1]
        yield frame[1:]
        yield frame.replace(b":" if b":" in frame else b",", b"", 1)


@each_session
def test_a_spoiled_frame_is_a_bad_frame_or_unknown_and_the_next_one_is_unaffected(session: Session) -> None:
    bad = list(spoiled(list(session.frames)))
    line = session.open_line()
    told = []
    for at, frame in enumerate(session.frames):
        for one in bad[at :: len(session.frames)]:
            try:
                said: object = [type(notice) for notice in line.read(one, TS_RECV)]
            except BadFrame as error:
                said = error.venue, error.frame, bool(error.reason)
            assert said in ([Unknown], (session.venue, one, True)), one[:200]
        told.append(read_as_data(line, frame))

    assert told == session.told


@each_session
def test_half_a_frame_is_a_bad_frame(session: Session) -> None:
    line = session.open_line()

    for frame in session.frames:
        with pytest.raises(BadFrame):
            line.read(frame[: len(frame) // 2], TS_RECV)


@each_session
@pytest.mark.parametrize("number", ["9" * 20, "9" * 400, "9" * 5000, "-1", "1e400", "-9223372036854775809", "0.1e-400"])
def test_a_huge_number_anywhere_is_a_bad_frame_at_most(session: Session, number: str) -> None:
    for frame in session.frames:
        for found in re.finditer(rb"(?<=[:,\[])-?\d+(\.\d+)?(?=[,\]}])", frame):
            line = session.open_line()
            read_as_data(line, frame[: found.start()] + number.encode() + frame[found.end() :])


@pytest.mark.parametrize("name", WITH_FRAMES)
@given(data=st.data())
def test_any_bytes_are_a_bad_frame_or_unknown(name: str, data: st.DataObject) -> None:
    session = data.draw(st.sampled_from(sessions(name)))
    line = session.open_line()
    read_as_data(line, data.draw(st.binary() | any_json.map(lambda value: json.dumps(value).encode())))
    told = [read_as_data(line, frame) for frame in session.frames]

    assert told == session.told


@pytest.mark.parametrize("name", WITH_FRAMES)
@given(data=st.data())
def test_a_frame_with_any_one_value_replaced_is_read_or_a_bad_frame(name: str, data: st.DataObject) -> None:
    session = data.draw(st.sampled_from(sessions(name)))
    line = session.open_line()
    frame = json.loads(data.draw(st.sampled_from(session.frames)))
    changed = replaced(frame, data.draw(st.integers(0, 40)), data.draw(any_json))
    read_as_data(line, json.dumps(changed, separators=(",", ":")).encode())


def replaced(value: Any, at: int, new: Any) -> Any:
    """`value` with its `at`-th node, counted round and round, replaced by `new`."""
    nodes = 0

    def walk(node: Any) -> Any:
        nonlocal nodes
        nodes += 1
        if nodes == at + 1:
            return new
        if isinstance(node, dict):
            return {key: walk(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [walk(inner) for inner in node]
        return node

    return walk(value)


# Subscriptions


@each_venue
@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 49, 50, 51, 99, 100, 101, 200, 399, 400, 401, 500])
def test_subscriptions_keep_within_what_one_connection_may_carry(name: str, count: int) -> None:
    venue = open_venue(name)
    if venue.dry:
        return
    wanted = topics_of(venue, count)
    size = venue.limits.topics_per_connection
    for start in range(0, count, size):
        part = wanted[start : start + size]
        line = venue.open_line(MANY)
        url = venue.connect_url("wss://host:1/base", part)
        frames = [*line.greet(), *line.subscribe(part)]
        frames += line.unsubscribe(part)

        assert url.startswith("wss://host:1/base")
        assert len(url.encode()) < 8000
        assert all(isinstance(json.loads(frame), dict) and len(frame) < 65_536 for frame in frames)
        assert len(frames) <= 2 * len(part) + 3


@each_venue
def test_a_line_asks_nothing_when_nothing_is_wanted(name: str) -> None:
    line = open_venue(name).open_line(MANY)
    line.subscribe(topics_of(open_venue(name), 1))

    assert line.subscribe([]) == []
    assert line.unsubscribe([]) == []


# REST


@each_venue
def test_each_question_has_a_path_text_parameters_and_a_weight_within_its_quota(name: str) -> None:
    venue = open_venue(name)
    span = Span("100", "120", NOW, NOW + 60_000_000_000)
    asked = [
        venue.instruments_request(),
        venue.snapshot_request(INSTRUMENT),
        venue.trades_request(INSTRUMENT, span),
        venue.trades_request(INSTRUMENT, Span(None, None, NOW, NOW + 1)),
        *(
            venue.candles_request(INSTRUMENT, timeframe(one), Interval(NOW, NOW + venue.candle_page * timeframe(one).step or 1))
            for one in venue.timeframes
        ),
    ]

    for request in filter(None, asked):
        quota = venue.limits.rest[request.bucket]
        assert request.path.startswith("/")
        assert 0 < request.weight <= quota.weight
        assert quota.per_s > 0
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in request.params.items())


@each_venue
@pytest.mark.parametrize(
    ("status", "body"), [(500, b"<html>oops</html>"), (502, b""), (429, b"{}"), (404, b"[]"), (403, b"\xff")]
)
def test_a_failure_is_a_refusal_whatever_its_body(name: str, status: int, body: bytes) -> None:
    refusal = open_venue(name).read_refusal(Answer(status, {}, body))

    assert isinstance(refusal, Refused)
    assert refusal.venue == name
    assert refusal.retry_after_s >= 0
    assert not (refusal.permanent and status in (429, 500, 502))


@each_venue
@pytest.mark.parametrize("retry_after", ["7", "7.5", "", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
def test_any_retry_after_header_is_survived(name: str, retry_after: str) -> None:
    refusal = open_venue(name).read_refusal(Answer(429, {"retry-after": retry_after}, b"{}"))

    assert isinstance(refusal, Refused)
    assert 0 <= refusal.retry_after_s < 3600


@each_venue
@given(body=st.binary() | any_json.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 100_000))
def test_any_body_is_read_or_a_bad_frame(name: str, body: bytes) -> None:
    venue = open_venue(name)
    answer = Answer(200, {}, body)
    questions = [
        lambda: venue.read_instruments(answer),
        lambda: venue.read_candles(answer, INSTRUMENT, timeframe("1m"), TS_RECV),
        lambda: venue.read_trades(answer, INSTRUMENT, Span("1", "2", None, None), TS_RECV),
        lambda: venue.snapshot_request(INSTRUMENT) and venue.read_snapshot(answer, INSTRUMENT, TS_RECV),
        lambda: venue.read_refusal(answer),
    ]

    for read in questions:
        with suppress(BadFrame):
            read()


# Facts


@each_venue
def test_a_venue_has_its_name_hosts_timeframes_and_limits(name: str) -> None:
    venue = open_venue(name)

    assert venue.name == name
    assert venue.stream_url.startswith("wss://")
    assert venue.rest_url.startswith("https://")
    assert venue.channels
    assert "1m" in venue.timeframes
    assert [timeframe(one).name for one in venue.timeframes] == list(venue.timeframes)
    assert venue.candle_page > 0
    assert venue.limits.topics_per_connection > 0


@each_venue
def test_each_channel_says_how_completeness_is_shown(name: str) -> None:
    venue = open_venue(name)

    assert set(venue.proofs) == set(venue.channels)
    assert all(proof.detects in get_args(Detects) and proof.repairs and proof.reach for proof in venue.proofs.values())


@each_venue
def test_the_documentation_has_the_row_of_each_channel(name: str) -> None:
    venue = open_venue(name)
    documented = {row[1]: row[2:5] for row in documented_rows(name, "detects by")}

    assert documented == {channel: list(proof) for channel, proof in venue.proofs.items()}


@each_venue
def test_the_documentation_says_what_rest_gives_of_candles(name: str) -> None:
    venue = open_venue(name)
    reach = "all of the history" if venue.candle_reach is None else f"the {venue.candle_reach} newest"
    [(_, rows, _, _, empty, documented_reach)] = documented_rows(name, "rows a call")

    assert venue.candle_empty in get_args(Empty)
    assert (rows, empty, documented_reach) == (str(venue.candle_page), venue.candle_empty, reach)


def documented_rows(name: str, column: str) -> list[list[str]]:
    """The rows of a venue in the table that has such a column."""
    table = re.search(rf"^\|[^\n]*\| {column} \|.*?\n(?=\n)", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    assert table is not None, column
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table[0].splitlines()]
    return [row for row in rows if row[0] == name]
