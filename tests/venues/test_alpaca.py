"""Alpaca: what only this venue does. The frames in tests/frames/alpaca and the contract test the rest."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import BadFrame, Refused
from marketd.model.events import Candle, Event, Quote, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import HOUR, MINUTE, SECOND, timeframe
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.venues.alpaca import Alpaca, AlpacaLine
from marketd.venues.notices import Acked, Alive, Declined, Notice, Ready, Unknown, Unsaid
from marketd.venues.venue import Answer, Span, Wanted

KEYS = {"ALPACA_KEY": "PKABCDEF", "ALPACA_SECRET": "very-secret"}
AAPL = Instrument("alpaca", "AAPL", "AAPL", "AAPL", "USD")
NOW = 1_772_461_900 * SECOND
OPEN = 1_772_461_800 * SECOND  # 2026-03-02T14:30:00Z
STATE = '[{"T":"subscription","trades":["AAPL"],"quotes":[],"bars":["AAPL"],"updatedBars":["AAPL"]}]'


def open_line(*frames: str) -> AlpacaLine:
    line = Alpaca(KEYS).open_line(Instruments([AAPL]))
    for frame in frames:
        read(line, frame)
    return line


def read(line: AlpacaLine, frame: str) -> Sequence[Event | Notice]:
    return line.read(frame.encode(), NOW)


def answer(body: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@pytest.mark.parametrize(
    ("settings", "dry"),
    [
        ({}, True),
        (KEYS, True),
        (KEYS | {"ALPACA_DRY_RUN": "true"}, True),
        ({"ALPACA_KEY": "PKABCDEF", "ALPACA_DRY_RUN": "false"}, True),
        (KEYS | {"ALPACA_SECRET": "", "ALPACA_DRY_RUN": "false"}, True),
        (KEYS | {"ALPACA_DRY_RUN": "false"}, False),
        (KEYS | {"ALPACA_DRY_RUN": "False"}, False),
    ],
)
def test_it_is_live_only_with_both_keys_and_a_dry_run_that_is_false(settings: dict[str, str], dry: bool) -> None:
    assert dry is Alpaca(settings).dry


def test_secrets_are_sent_and_never_shown() -> None:
    venue = Alpaca(KEYS)
    request = venue.instruments_request()
    shown = f"{venue!r} {request!r} {venue.open_line(Instruments())!r} {request.headers} {venue.limits}"

    assert {"APCA-API-KEY-ID": "PKABCDEF", "APCA-API-SECRET-KEY": "very-secret"} == dict(request.headers)
    assert "PKABCDEF" not in shown
    assert "very-secret" not in shown


def test_the_greeting_authenticates_and_only_then_the_line_is_ready() -> None:
    line = open_line()

    assert [{"action": "auth", "key": "PKABCDEF", "secret": "very-secret"}] == [json.loads(frame) for frame in line.greet()]
    assert [Alive()] == list(read(line, '[{"T":"success","msg":"connected"}]'))
    assert not line.ready
    assert [Ready()] == list(read(line, '[{"T":"success","msg":"authenticated"}]'))
    assert line.ready


def test_bars_are_asked_for_with_their_revisions() -> None:
    wanted = [Wanted("trade", "AAPL"), Wanted("quote", "BRK.B"), Wanted("candle", "AAPL", "1m")]
    (frame,) = open_line().subscribe(wanted)

    assert {
        "action": "subscribe",
        "trades": ["AAPL"],
        "quotes": ["BRK.B"],
        "bars": ["AAPL"],
        "updatedBars": ["AAPL"],
    } == json.loads(frame)


def test_long_lists_go_in_parts_below_the_venues_limit() -> None:
    wanted = [Wanted("candle", f"SYM{number}", "1m") for number in range(1000)]
    frames = open_line().subscribe(wanted)

    assert 3 == len(frames)
    assert all(len(frame) < 16_000 for frame in frames)
    assert [one.symbol for one in wanted] == [symbol for frame in frames for symbol in json.loads(frame)["bars"]]


def test_an_answer_is_the_whole_state() -> None:
    line = open_line()
    line.subscribe([Wanted("candle", "AAPL", "1m")])

    assert [Acked([Wanted("trade", "AAPL"), Wanted("candle", "AAPL", "1m")])] == list(read(line, STATE))


def test_longer_bars_are_declined_because_the_stream_has_none() -> None:
    line = open_line()
    line.subscribe([Wanted("candle", "AAPL", "5m"), Wanted("trade", "AAPL")])
    _, declined = read(line, STATE)

    assert isinstance(declined, Declined)
    assert [Wanted("candle", "AAPL", "5m")] == declined.wanted


def test_a_ping_asks_for_what_is_held_and_its_answer_is_a_sign_of_life() -> None:
    line = open_line()
    assert line.ping() is None
    line.subscribe([Wanted("trade", "AAPL")])
    read(line, STATE)
    ping = line.ping()

    assert ping is not None
    assert ["AAPL"] == json.loads(ping)["trades"]
    assert [Alive()] == list(read(line, STATE))
    line.unsubscribe([Wanted("trade", "AAPL")])
    assert line.ping() is None


def test_a_declined_request_of_several_may_be_asked_one_by_one_and_a_single_one_not_again() -> None:
    line = open_line()
    several, single = [Wanted("trade", "AAPL"), Wanted("quote", "AAPL")], [Wanted("trade", "BRK.B")]
    line.subscribe(several)
    line.subscribe(single)
    limit = '[{"T":"error","code":405,"msg":"symbol limit exceeded"}]'

    assert [Declined(several, "405: symbol limit exceeded", permanent=False)] == list(read(line, limit))
    assert [Declined(single, "405: symbol limit exceeded", permanent=True)] == list(read(line, limit))


@pytest.mark.parametrize(("code", "permanent"), [(402, True), (404, False), (406, False), (408, True), (409, True), (411, True)])
def test_errors_of_the_connection_say_whether_to_come_again(code: int, permanent: bool) -> None:
    said = read(open_line(), json.dumps([{"T": "error", "code": code, "msg": "words"}]))

    assert [Declined((), f"{code}: words", permanent)] == list(said)


def test_a_trade_has_no_side_and_its_id_is_exchange_day_and_number() -> None:
    frame = '[{"T":"t","i":71234,"S":"AAPL","x":"V","p":187.210,"s":40,"t":"2026-03-02T14:30:00.123456789Z","c":["@"],"z":"C"}]'

    assert [Trade("alpaca", "AAPL", OPEN + 123_456_789, NOW, "187.210", "40", None, "V-2026-03-02-71234")] == list(
        read(open_line(), frame)
    )


def test_the_day_of_an_id_is_utc_whatever_zone_the_time_is_written_in() -> None:
    frame = '[{"T":"t","i":7,"S":"AAPL","x":"V","p":1,"s":1,"t":"2026-03-02T23:30:00-05:00"}]'
    (trade,) = read(open_line(), frame)

    assert isinstance(trade, Trade)
    assert "V-2026-03-03-7" == trade.trade_id


@given(st.lists(st.tuples(st.integers(OPEN, OPEN + 3 * SECOND), st.booleans()), min_size=1, max_size=20))
def test_times_are_exact_to_the_ns_in_whatever_order(times: list[tuple[int, bool]]) -> None:
    line = open_line()
    for ts, is_zulu in times:
        text = iso_of_ns(ts).replace("+00:00", "Z") if is_zulu else iso_of_ns(ts)
        (quote,) = read(line, json.dumps([{"T": "q", "S": "AAPL", "bp": 1, "bs": 1, "ap": 2, "as": 1, "t": text}]))

        assert Quote("alpaca", "AAPL", ts, NOW, "1", "1", "2", "1") == quote


@pytest.mark.parametrize(
    "text", ["", "Z", "2026-03-02T14:30:00.Z", "2026-03-02T14:30:00x5Z", "2026-03-02T14:30:00.5Zulu", "2026-03-02"]
)
def test_what_is_no_time_is_a_bad_frame_also_within_a_known_second(text: str) -> None:
    line = open_line('[{"T":"q","S":"AAPL","bp":1,"bs":1,"ap":2,"as":1,"t":"2026-03-02T14:30:00.5Z"}]')
    with pytest.raises(BadFrame):
        read(line, json.dumps([{"T": "q", "S": "AAPL", "bp": 1, "bs": 1, "ap": 2, "as": 1, "t": text}]))


def test_a_bar_is_closed_and_each_change_of_it_a_revision() -> None:
    line = open_line()
    bar = '[{"T":"%s","S":"AAPL","o":187.1,"h":187.40,"l":187,"c":187.2,"v":%s,"t":"2026-03-02T14:30:00Z","n":1,"vw":187.19}]'
    told = [*read(line, bar % ("b", 12034)), *read(line, bar % ("u", 12134)), *read(line, bar % ("u", 12150))]

    figures = ("187.1", "187.40", "187", "187.2")
    assert [
        Candle("alpaca", "AAPL", None, NOW, "1m", OPEN, OPEN + MINUTE, *figures, volume, True, revision)
        for revision, volume in enumerate(["12034", "12134", "12150"])
    ] == told


def test_one_message_that_no_rule_explains_does_not_take_its_neighbours_with_it() -> None:
    quote = '{"T":"q","S":"AAPL","bp":1,"bs":1,"ap":2,"as":1,"t":"2026-03-02T14:30:00Z"}'
    told = read(open_line(), f'[{quote},{{"T":"new"}},{{"T":"t","S":"AAPL"}},{{"T":"l","S":"AAPL"}},{quote}]')

    assert [Quote, Unknown, Unsaid, Quote, Unknown] == [type(one) for one in told]


def test_corrections_and_cancellations_are_logged_in_words() -> None:
    for kind, word in (("c", "corrects"), ("x", "cancels")):
        (said,) = read(open_line(), f'[{{"T":"{kind}","S":"AAPL"}}]')

        assert isinstance(said, Unknown)
        assert word in said.why


def test_the_list_of_stocks_comes_from_the_trading_api_that_fits_the_key() -> None:
    paper, live = Alpaca(KEYS).instruments_request(), Alpaca(KEYS | {"ALPACA_KEY": "AKXYZ"}).instruments_request()
    listed = Alpaca(KEYS).read_instruments(answer('[{"symbol":"BRK.B","tradable":true},{"symbol":"OLD","tradable":false}]'))

    assert ("https://paper-api.alpaca.markets", "https://api.alpaca.markets") == (paper.base, live.base)
    assert {"BRK.B": True, "OLD": False} == {one.symbol: one.is_trading for one in listed}


def test_trades_are_asked_by_time_and_followed_by_page() -> None:
    venue = Alpaca(KEYS)
    span = Span(None, None, OPEN, OPEN + HOUR + 1)
    request = venue.trades_request(AAPL, span)
    row = '{"t":"2026-03-02T14:30:00.5Z","x":"V","p":187.2,"s":100,"c":["@"],"i":5,"z":"C"}'
    body = f'{{"trades":{{"AAPL":[{row}]}},"next_page_token":"QUFQ"}}'
    page = venue.read_trades(answer(body), AAPL, span, NOW)

    assert request is not None
    assert page.more is not None
    assert ("2026-03-02T14:30:00Z", "2026-03-02T15:30:00.000000001Z") == (request.params["start"], request.params["end"])
    assert {**request.params, "page_token": "QUFQ"} == page.more.params
    assert dict(request.headers) == dict(page.more.headers)
    assert [Trade("alpaca", "AAPL", OPEN + SECOND // 2, NOW, "187.2", "100", None, "V-2026-03-02-5", True)] == page.trades
    assert venue.trades_request(AAPL, Span("1", "2", None, None)) is None


@pytest.mark.parametrize("body", ['{"trades":null,"bars":null}', '{"trades":{},"bars":{},"next_page_token":null}', "{}"])
def test_nothing_is_an_answer_too(body: str) -> None:
    venue = Alpaca(KEYS)

    assert ([], None) == tuple(venue.read_trades(answer(body), AAPL, Span(None, None, OPEN, None), NOW))
    assert [] == venue.read_candles(answer(body), AAPL, timeframe("1m"), NOW)


def test_candles_are_asked_by_open_time_and_the_last_of_an_answer_is_open() -> None:
    venue = Alpaca(KEYS)
    request = venue.candles_request(AAPL, timeframe("5m"), Interval(OPEN, OPEN + HOUR))
    row = '{"t":"2026-03-02T14:%s:00Z","o":187.10,"h":187.4,"l":187.0,"c":187.2,"v":12034,"n":141,"vw":187.19}'
    body = f'{{"bars":{{"AAPL":[{row % 30},{row % 35}]}},"next_page_token":null}}'
    first, last = venue.read_candles(answer(body), AAPL, timeframe("5m"), NOW)

    assert ("2026-03-02T14:30:00Z", "2026-03-02T15:29:59.999999999Z") == (request.params["start"], request.params["end"])
    assert ("5Min", "iex", "raw") == (request.params["timeframe"], request.params["feed"], request.params["adjustment"])
    assert (OPEN, OPEN + 5 * MINUTE, "187.10", "187.0", True) == (
        first.open_time, first.close_time, first.open, first.low, first.closed,
    )  # fmt: skip
    assert not last.closed


def test_a_page_of_candles_that_is_cut_goes_on_where_its_token_leads_even_when_it_is_empty() -> None:
    venue = Alpaca(KEYS)
    asked = venue.candles_request(AAPL, timeframe("1m"), Interval(OPEN, OPEN + HOUR))
    cut = answer('{"bars":{},"next_page_token":"QUFQ"}')
    more = venue.more_candles(cut, asked)

    assert [] == venue.read_candles(cut, AAPL, timeframe("1m"), NOW)
    assert more is not None
    assert (asked.path, {**asked.params, "page_token": "QUFQ"}, asked.headers) == (more.path, more.params, more.headers)
    assert venue.more_candles(answer('{"bars":{},"next_page_token":null}'), more) is None


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (403, True), (422, True), (429, False), (500, False), (504, False)]
)
def test_refusals_are_in_the_venues_words(status: int, permanent: bool) -> None:
    refusal = Alpaca(KEYS).read_refusal(answer('{"code":40010001,"message":"its own words"}', status))

    assert isinstance(refusal, Refused)
    assert refusal.words.startswith("its own words")
    assert permanent is refusal.permanent


def test_too_many_requests_wait_for_the_end_of_the_minute_by_the_venues_clock() -> None:
    headers = {"x_ratelimit_reset": "1772461860", "date": "Mon, 02 Mar 2026 14:30:40 GMT"}
    told = Alpaca(KEYS).read_refusal(answer("{}", 429, **headers))
    silent = Alpaca(KEYS).read_refusal(answer("{}", 429))

    assert isinstance(told, Refused)
    assert isinstance(silent, Refused)
    assert (20.0, 60.0) == (told.retry_after_s, silent.retry_after_s)


@pytest.mark.recorded("alpaca/ws/*.jsonl.gz", "alpaca/fixtures/doc_samples_ws_rest.jsonl.gz")
def test_recorded_frames_of_stocks_are_understood(recording: Path) -> None:
    line = open_line()
    with gzip.open(recording, "rt") as lines:
        records = [json.loads(row) for row in lines]
    frames = [one["frame"] for one in records if one["k"] == "in" and one["frame"].startswith("[")]
    told = [one for frame in frames for one in read(line, frame)]

    assert frames
    assert [] == [one for one in told if isinstance(one, Unknown) and not one.why.startswith("error 40")]  # nothing was asked


@pytest.mark.recorded("alpaca/ws/bars_*.jsonl.gz")
def test_recorded_bars_keep_their_digits(recording: Path) -> None:
    line = open_line()
    with gzip.open(recording, "rt") as lines:
        frames = [json.loads(row)["frame"] for row in lines]
    for frame in frames:
        (bar,), (said,) = json.loads(frame, parse_float=str), read(line, frame)

        assert isinstance(said, Candle)
        assert [str(bar[key]) for key in "ohlcv"] == [said.open, said.high, said.low, said.close, said.volume]
        assert ns_of_iso(bar["t"]) == said.open_time
