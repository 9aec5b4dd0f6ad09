"""Bitfinex: what only this venue does. The frames in tests/frames/bitfinex and the contract test the rest."""

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, BookSnapshot, Candle, Event, Level, Quote, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import SECOND, timeframe
from marketd.venues import notices
from marketd.venues.bitfinex import Bitfinex, BitfinexLine
from marketd.venues.notices import Acked, Alive, Declined, Lost, Notice, Overlap, Ready, Unknown, Unsaid
from marketd.venues.venue import Answer, Span, Wanted

BTCUSD = Instrument("bitfinex", "BTCUSD", "tBTCUSD", "BTC", "USD")
LISTED = Instruments([BTCUSD, Instrument("bitfinex", "DOGEUSDT", "tDOGE:UST", "DOGE", "USDT")])
MINUTE_MS = 1_700_000_040_000
NOW = 1_700_000_099 * SECOND
CONFIRMED = b'{"event":"conf","status":"OK","flags":229376}'


def line_with(*frames: str | bytes) -> BitfinexLine:
    line = Bitfinex().open_line(LISTED)
    for frame in frames:
        line.read(frame if isinstance(frame, bytes) else frame.encode(), NOW)
    return line


def subscribed(channel: str, number: int, **more: str) -> str:
    return json.dumps({"event": "subscribed", "channel": channel, "chanId": number} | (more or {"symbol": "tBTCUSD"}))


def candles_line() -> BitfinexLine:
    return line_with(subscribed("candles", 9, key="trade:1m:tBTCUSD"))


def read(line: BitfinexLine, frame: str) -> Sequence[Event | Notice]:
    return line.read(frame.encode(), NOW)


def answer(body: str, status: int = 200) -> Answer:
    return Answer(status, {}, body.encode())


def test_the_greeting_asks_for_sequence_checksums_and_times_and_the_venues_greeting_makes_ready() -> None:
    line = line_with()

    assert [b'{"event":"conf","flags":229376}'] == line.greet()
    assert not line.ready
    assert [Ready()] == list(read(line, '{"event":"info","version":2,"platform":{"status":1}}'))
    assert line.ready


@pytest.mark.parametrize("greeting", ['{"event":"info","version":3}', '{"event":"info","version":2,"platform":{"status":0}}'])
def test_another_version_and_a_platform_in_maintenance_decline_the_connection(greeting: str) -> None:
    line = line_with()
    (said,) = read(line, greeting)

    assert isinstance(said, Declined)
    assert said.permanent
    assert not line.ready


def test_flags_that_are_not_confirmed_are_said_because_the_proof_goes_with_them() -> None:
    line = line_with()
    line.greet()
    (said,) = read(line, '{"event":"conf","status":"FAILED","flags":0}')

    assert isinstance(said, Unknown)


def test_each_subscription_is_one_frame_in_the_venues_spelling() -> None:
    wanted = [Wanted("trade", "BTCUSD"), Wanted("quote", "DOGEUSDT"), Wanted("book", "BTCUSD"), Wanted("candle", "BTCUSD", "1d")]

    assert [
        {"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"},
        {"event": "subscribe", "channel": "ticker", "symbol": "tDOGE:UST"},
        {"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "prec": "P0", "freq": "F0", "len": "25"},
        {"event": "subscribe", "channel": "candles", "key": "trade:1D:tBTCUSD"},
    ] == [json.loads(frame) for frame in line_with().subscribe(wanted)]


def test_subscribing_again_gives_the_channel_back_first_so_that_a_book_begins_anew() -> None:
    line = line_with(subscribed("book", 7))
    again = line.subscribe([Wanted("book", "BTCUSD")])

    assert [b'{"event":"unsubscribe","chanId":7}'] == again[:1]
    assert 2 == len(again)
    assert [] == line.unsubscribe([Wanted("book", "BTCUSD")])


def test_a_key_with_a_colon_in_its_symbol_is_mapped_back() -> None:
    (said,) = read(line_with(), subscribed("candles", 4, key="trade:5m:tDOGE:UST"))

    assert Acked([Wanted("candle", "DOGEUSDT", "5m")]) == said


@pytest.mark.parametrize(
    "more",
    [
        {"channel": "book", "symbol": "tBTCUSD", "prec": "R0"},
        {"channel": "book", "symbol": "tBTCUSD", "prec": "P2"},
        {"channel": "ticker", "symbol": "fUSD"},
        {"channel": "status", "key": "deriv:tBTCF0:USTF0"},
        {"channel": "candles", "key": "trade:30m:fUSD:a30:p2:p30"},
        {"channel": "trades", "symbol": "tTESTBTC:TESTUSD"},
    ],
)
def test_channels_that_nobody_asks_for_are_understood_and_left_unsaid(more: dict[str, str]) -> None:
    line = line_with()
    told = [*read(line, json.dumps({"event": "subscribed", "chanId": 3} | more)), *read(line, "[3,[[1,2,3],[4,5,6]]]")]
    told += [*read(line, '[3,"hb"]'), *read(line, '[3,"te",[1,2,3,4]]')]

    assert [Unsaid] * 4 == [type(one) for one in told]


def test_te_is_the_trade_and_tu_is_not_told_twice() -> None:
    line = line_with(subscribed("trades", 5))
    (trade,) = read(line, '[5,"te",[401,1700000041123,-0.00120,37012.50]]')
    (again,) = read(line, '[5,"tu",[401,1700000041123,-0.00120,37012.50]]')

    assert Trade("bitfinex", "BTCUSD", 1_700_000_041_123_000_000, NOW, "37012.50", "0.00120", "sell", "401") == trade
    assert isinstance(again, Unsaid)


def test_exponents_are_written_out_and_other_digits_stay() -> None:
    line = line_with(subscribed("trades", 5))
    (trade,) = read(line, '[5,"te",[402,1700000041123,2.8e-7,37012.10]]')

    assert isinstance(trade, Trade)
    assert ("0.00000028", "37012.10", "buy") == (trade.size, trade.price, trade.side)


def test_the_snapshot_of_trades_is_told_oldest_first() -> None:
    line = line_with(subscribed("trades", 5))
    (overlap,) = read(line, "[5,[[12,1700000042000,1,5],[11,1700000042000,-1,5],[10,1700000041000,1,5]]]")

    assert isinstance(overlap, Overlap)
    assert ["10", "11", "12"] == [trade.trade_id for trade in overlap.trades]


def test_a_ticker_is_a_quote_with_the_time_the_venue_sent_it() -> None:
    line = line_with(CONFIRMED, subscribed("ticker", 6))
    (quote,) = read(line, "[6,[37010,12.5,37011,8.25,-5,-0.1,37010,100,38000,36000],1,1700000041500]")

    assert Quote("bitfinex", "BTCUSD", 1_700_000_041_500_000_000, NOW, "37010", "12.5", "37011", "8.25") == quote


def test_a_book_starts_with_a_snapshot_and_a_count_of_zero_removes() -> None:
    line = line_with(subscribed("book", 7, symbol="tBTCUSD", prec="P0", freq="F0", len="25"))
    (snapshot,) = read(line, "[7,[[37010,2,0.5],[37009,1,1],[37011,1,-0.75]]]")
    (changed,) = read(line, "[7,[37011,2,-0.80]]")
    (removed,) = read(line, "[7,[37010,0,1]]")

    assert (
        BookSnapshot("bitfinex", "BTCUSD", None, NOW, [("37010", "0.5"), ("37009", "1")], [("37011", "0.75")], None) == snapshot
    )
    assert BookDelta("bitfinex", "BTCUSD", None, NOW, (), (("37011", "0.80"),), None, None) == changed
    assert BookDelta("bitfinex", "BTCUSD", None, NOW, (("37010", "0"),), (), None, None) == removed


def test_heartbeats_say_which_channel_lives_also_before_its_acknowledgement() -> None:
    line = line_with(subscribed("trades", 5))

    assert [Alive("BTCUSD", "trade")] == list(read(line, '[5,"hb"]'))
    assert [Alive()] == list(read(line, '[8,"hb"]'))
    assert [Unknown("data on channel id 8, which is not subscribed")] == list(read(line, "[8,[1,2,3]]"))


def test_a_jump_in_the_sequence_is_a_loss_with_its_count_and_the_frame_is_still_told() -> None:
    line = line_with(CONFIRMED, subscribed("book", 7), '[7,"hb",1,1700000041000]')
    lost, delta = read(line, "[7,[37029.8,3,-2.2],4,1700000041001]")

    assert Lost("line sequence went from 1 to 4: 2 missing") == lost
    assert isinstance(delta, BookDelta)
    assert [BookDelta] == [type(one) for one in read(line, "[7,[37047.9,2,-0.6],5,1700000041002]")]


def test_the_first_frame_of_a_line_may_be_lost_too() -> None:
    line = line_with(CONFIRMED, subscribed("book", 7))
    lost, _ = read(line, "[7,[37029.8,3,-2.2],2,1700000041001]")

    assert Lost("line sequence went from 0 to 2: 1 missing") == lost


def test_a_frame_that_came_twice_is_left_unsaid_and_a_step_back_is_a_loss() -> None:
    line = line_with(CONFIRMED, subscribed("trades", 5), '[5,"hb",1,1700000041000]')
    frame = '[5,"te",[401,1700000041123,1,5],2,1700000041124]'
    read(line, frame)

    assert [Unsaid] == [type(one) for one in read(line, frame)]
    assert [Lost, Trade] == [type(one) for one in read(line, '[5,"te",[400,1700000041100,1,5],1,1700000041124]')]


def test_a_frame_that_cannot_be_read_shows_as_a_jump_before_the_next() -> None:
    line = line_with(CONFIRMED, subscribed("trades", 5), '[5,"hb",1,1700000041000]')
    with pytest.raises(BadFrame):
        read(line, '[5,"te",[401,1700000041123,"much",5],2,1700000041124]')

    assert [Lost, Alive] == [type(one) for one in read(line, '[5,"hb",3,1700000041125]')]


def test_a_later_candle_proves_the_one_before_closed_with_its_last_figures() -> None:
    line = candles_line()
    (first,) = read(line, f"[9,[{MINUTE_MS},37010,37015,37022,37001,12.5]]")
    (second,) = read(line, f"[9,[{MINUTE_MS},37010,37016,37022,37001,12.75]]")
    closed, third = read(line, f"[9,[{MINUTE_MS + 180_000},37016,37017,37018,37011.5,1]]")

    opened = MINUTE_MS * 1_000_000
    figures = ("37010", "37022", "37001", "37016", "12.75")
    expected = Candle("bitfinex", "BTCUSD", None, NOW, "1m", opened, opened + 60 * SECOND, *figures, True)
    assert expected == closed
    assert [False] * 3 == [one.closed for one in (first, second, third) if isinstance(one, Candle)]


def test_of_a_snapshot_of_candles_the_newest_two_are_told_and_the_older_one_is_closed() -> None:
    rows = [[MINUTE_MS - 60_000 * n, 1, 2, 3, 1, 5] for n in range(240)]
    told = read(candles_line(), json.dumps([9, rows]))

    assert [(MINUTE_MS - 60_000, True), (MINUTE_MS, False)] == [
        (one.open_time // 1_000_000, one.closed) for one in told if isinstance(one, Candle)
    ]


def test_a_closed_candle_that_changes_late_is_a_revision_and_one_that_does_not_is_left_unsaid() -> None:
    line = candles_line()
    read(line, f"[9,[[{MINUTE_MS},1,2,3,1,5],[{MINUTE_MS - 60_000},1,2,3,1,5]]]")

    assert [Unsaid] == [type(one) for one in read(line, f"[9,[{MINUTE_MS - 60_000},1,2,3,1,5]]")]
    (late,) = read(line, f"[9,[{MINUTE_MS - 60_000},1,2,3,1,6]]")
    assert isinstance(late, Candle)
    assert (True, 1, "6") == (late.closed, late.revision, late.volume)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=30))
def test_whatever_order_candles_come_in_only_the_newest_is_open(updates: list[tuple[int, int]]) -> None:
    line = candles_line()
    newest = -1
    for minute, volume in updates:
        told = [one for one in read(line, f"[9,[{MINUTE_MS + minute * 60_000},1,1,1,1,{volume}]]") if isinstance(one, Candle)]
        newest = max(newest, minute)

        assert all(one.closed == (one.open_time // 1_000_000 < MINUTE_MS + newest * 60_000) for one in told)


def test_empty_snapshots_say_that_the_channel_lives() -> None:
    line = line_with(subscribed("trades", 5), subscribed("book", 7), subscribed("candles", 9, key="trade:1m:tBTCUSD"))

    assert [Overlap("BTCUSD", [])] == list(read(line, "[5,[]]"))
    assert [BookSnapshot] == [type(one) for one in read(line, "[7,[]]")]
    assert [Alive("BTCUSD", "candle")] == list(read(line, "[9,[]]"))


def test_the_venues_words_about_its_own_state() -> None:
    line = line_with()
    (cut,) = read(line, '{"event":"info","code":20051,"msg":"Stopping"}')
    (pause,) = read(line, '{"event":"info","code":20060,"msg":"Entering maintenance"}')
    (over,) = read(line, '{"event":"info","code":20061,"msg":"Maintenance ended"}')

    assert notices.Cut("20051: Stopping") == cut
    assert isinstance(pause, Status)
    assert "Entering maintenance" in pause.reason
    assert Lost("maintenance is over: 20061: Maintenance ended", resubscribe=True) == over


@pytest.mark.parametrize("code", [10300, 10001, 10012, 10305])
def test_an_error_declines_its_subscription_in_the_venues_words(code: int) -> None:
    frame = {"event": "error", "msg": "symbol: invalid", "code": code, "channel": "trades", "symbol": "tBTCUSD"}

    assert [Declined([Wanted("trade", "BTCUSD")], f"{code}: symbol: invalid")] == list(read(line_with(), json.dumps(frame)))


def test_already_subscribed_is_an_acknowledgement() -> None:
    frame = '{"event":"error","msg":"subscribe: dup","code":10301,"channel":"trades","symbol":"tBTCUSD"}'

    assert [Acked([Wanted("trade", "BTCUSD")])] == list(read(line_with(subscribed("trades", 5)), frame))


@pytest.mark.parametrize(
    "frame",
    ["", "[", "[]", "[5]", "5", '"te"', "null", "{}", '{"event":{}}', "[[1,2],[3]]", '[{"a":1},"hb"]', '[5,"te"]', '[5,"te",[1]]',
     '[5,"te",[1.5,2,3,4]]', '[5,"te",[1,"2",3,4]]', '[5,"te",[1,2,null,4]]', '[5,"te",[1,2,1e999,4]]', '[5,"te",[1,2,"x",4]]',
     '[5,"te",[true,2,3,4]]', "[5,[[1,2,3,4],5]]", "[7,[1,2]]", "[7,[1,1.5,2]]", '[7,"cs","x"]', "[9,[1,2,3,4,5]]", "[" * 5000],
)  # fmt: skip
def test_only_bad_frame_escapes(frame: str) -> None:
    line = line_with(subscribed("trades", 5), subscribed("book", 7), subscribed("candles", 9, key="trade:1m:tBTCUSD"))
    with pytest.raises(BadFrame):
        read(line, frame)


def test_the_checksum_is_signed_and_prints_numbers_as_javascript_does() -> None:
    bids = [("0.0000012", "7250.125000"), ("0.00000066", "10000"), ("0.0000006", "100")]
    asks = [("0.00000123", "33.0625")]
    text = "0.0000012:7250.125:0.00000123:-33.0625:6.6e-7:10000:6e-7:100"
    unsigned = zlib.crc32(text.encode())

    assert unsigned - (1 << 32 if unsigned >= 1 << 31 else 0) == Bitfinex().checksum(bids, asks, BTCUSD)


@given(st.decimals(min_value=Decimal("1e-12"), max_value=10**9, allow_nan=False, allow_infinity=False, places=12))
def test_a_number_goes_into_the_checksum_as_javascript_prints_it(number: Decimal) -> None:
    text = f"{number:f}"
    exponent = number.adjusted()
    digits = str(int(number.scaleb(12))).rstrip("0")
    script = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{exponent}" if exponent < -6 else f"{number.normalize():f}"

    assert zlib.crc32(f"{script}:1".encode()) == Bitfinex().checksum([(text, "1")], [], BTCUSD) % (1 << 32)  # type: ignore[operator]


def test_the_checksum_counts_twenty_five_levels_a_side() -> None:
    bids: list[Level] = [(str(100 - n), "1") for n in range(40)]

    assert Bitfinex().checksum(bids[:25], [], BTCUSD) == Bitfinex().checksum(bids, [], BTCUSD)


def test_symbols_come_from_the_venues_maps_without_derivatives_and_test_assets() -> None:
    pairs = ["BTCUSD", "BTCUST", "DOGE:USD", "UDCUST", "BTCF0:USTF0", "TESTBTC:TESTUSD", "LESUSD", "BCHN:USD", "BCHUSD"]
    renamed = [["UST", "USDt"], ["UDC", "USDC"], ["LES", "LEO-EOS"], ["BCHN", "BCH"]]
    listed = Bitfinex().read_instruments(answer(json.dumps([pairs, renamed])))

    assert {
        "BTCUSD": "tBTCUSD",
        "BTCUSDT": "tBTCUST",
        "DOGEUSD": "tDOGE:USD",
        "USDCUSDT": "tUDCUST",
        "LESUSD": "tLESUSD",
        "BCHUSD": "tBCHUSD",
        "BCHNUSD": "tBCHN:USD",
    } == {one.symbol: one.venue_symbol for one in listed}


def test_trades_are_asked_forward_in_time_and_a_full_page_goes_on_at_its_last_millisecond() -> None:
    venue = Bitfinex()
    span = Span("5", "9", 1_700_000_000_000_000_000, 1_700_000_060_000_500_000)
    request = venue.trades_request(BTCUSD, span)
    rows = [[n, 1_700_000_000_000 + n // 2, -1, 5] for n in range(10_000)]
    page = venue.read_trades(answer(json.dumps(rows)), BTCUSD, span, NOW)

    assert request is not None
    assert ("/trades/tBTCUSD/hist", "trades") == (request.path, request.bucket)
    assert {"sort": "1", "start": "1700000000000", "end": "1700000060001", "limit": "10000"} == request.params
    assert page.more is not None
    assert "1700000004999" == page.more.params["start"]
    assert all(trade.repaired and trade.side == "sell" for trade in page.trades)
    assert venue.read_trades(answer(json.dumps(rows[:5])), BTCUSD, span, NOW).more is None


def test_where_nobody_knows_when_the_newest_page_is_asked_and_told_oldest_first() -> None:
    venue = Bitfinex()
    span = Span(None, None, None, None)
    request = venue.trades_request(BTCUSD, span)
    page = venue.read_trades(answer("[[8,1700000002000,1,5],[7,1700000001000,-1,5]]"), BTCUSD, span, NOW)

    assert request is not None
    assert {"sort": "-1", "limit": "10000"} == request.params
    assert ["7", "8"] == [trade.trade_id for trade in page.trades]


def test_candles_are_asked_by_open_time_and_the_last_of_an_answer_is_open() -> None:
    venue = Bitfinex()
    minute = timeframe("1m")
    request = venue.candles_request(BTCUSD, minute, Interval(MINUTE_MS * 1_000_000, (MINUTE_MS + 120_000) * 1_000_000))
    body = f"[[{MINUTE_MS},37010,37015,37022,37001,12.50],[{MINUTE_MS + 60_000},1,2,3,0.5,0]]"
    first, last = venue.read_candles(answer(body), BTCUSD, minute, NOW)

    assert ("/candles/trade:1m:tBTCUSD/hist", "candles") == (request.path, request.bucket)
    assert (str(MINUTE_MS), str(MINUTE_MS + 119_999)) == (request.params["start"], request.params["end"])
    assert ("37010", "37022", "37001", "37015", "12.50", True) == (
        first.open, first.high, first.low, first.close, first.volume, first.closed,
    )  # fmt: skip
    assert not last.closed


@pytest.mark.parametrize(
    ("status", "body", "wait_s", "permanent"),
    [
        (429, '{"error":"ERR_RATE_LIMIT"}', 60.0, False),
        (200, '["error",11010,"ratelimit: error"]', 60.0, False),
        (500, '["error",10020,"limit: invalid"]', 0.0, True),
        (500, '["error",20060,"maintenance"]', 120.0, False),
        (502, "<html>Bad gateway</html>", 0.0, False),
        (404, "not found", 0.0, True),
    ],
)
def test_refusals_are_known_by_their_body_whatever_the_status(status: int, body: str, wait_s: float, permanent: bool) -> None:
    refusal = Bitfinex().read_refusal(answer(body, status))

    assert isinstance(refusal, Refused)
    assert (wait_s, permanent) == (refusal.retry_after_s, refusal.permanent)


def test_a_waiting_time_that_is_asked_for_is_kept_where_it_is_longer_than_ours() -> None:
    asked = [Bitfinex().read_refusal(Answer(429, {"retry-after": wait}, b"")) for wait in ("10", "300")]

    assert [60.0, 300.0] == [one.retry_after_s for one in asked if isinstance(one, Refused)]


def test_data_is_no_refusal() -> None:
    assert Bitfinex().read_refusal(answer("[]")) is None
    assert Bitfinex().read_refusal(answer("[[1,2,3,4]]")) is None


@pytest.mark.parametrize("body", ["", "{}", "[[1]]", "[1]", '[["x",1,2,3,4,5]]'])
def test_answers_that_cannot_be_understood_are_bad_frames(body: str) -> None:
    venue = Bitfinex()
    for ask in (
        lambda: venue.read_candles(answer(body), BTCUSD, timeframe("1m"), NOW),
        lambda: venue.read_trades(answer(body), BTCUSD, Span(None, None, None, None), NOW),
        lambda: venue.read_instruments(answer(body)),
    ):
        with pytest.raises(BadFrame):
            ask()


def recorded_frames(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as lines:
        for row in lines:
            if path.name.endswith(".frames.gz"):
                yield row.rstrip(b"\n")
            elif (record := json.loads(row))["k"] == "in":
                yield record["frame"].encode()


@pytest.mark.recorded("bitfinex/ws/session_*.jsonl.gz", "bitfinex/ws/book_R0_*.jsonl.gz", "bitfinex/ws/long_*.frames.gz")
@pytest.mark.timeout(120)
def test_recorded_sessions_are_understood_to_the_last_frame(recording: Path) -> None:
    pairs = ["BTCUSD", "BFTUSD", "IOTETH", "DOGUSD", "MNABTC", "ODEUSD", "SNGUSD"]
    listed = Bitfinex().read_instruments(answer(json.dumps([pairs, []])))
    line = Bitfinex().open_line(Instruments(listed))
    doubtful = [
        one
        for frame in recorded_frames(recording)
        for one in line.read(frame, 2_000_000_000 * SECOND)
        if isinstance(one, Unknown | Lost | Declined)
    ]

    assert [] == doubtful


@pytest.mark.recorded("bitfinex/ws/long_session_20181112_conn1.frames.gz")
def test_recorded_trades_make_the_venues_own_candles(recording: Path) -> None:
    line = Bitfinex().open_line(LISTED)
    few = (frame for frame in recorded_frames(recording) if frame[:1] == b"{" or b'"te"' in frame)
    minutes: dict[int, list[Trade]] = defaultdict(list)
    for trade in (one for frame in few for one in line.read(frame, NOW) if isinstance(one, Trade)):
        minutes[timeframe("1m").open_of(trade.ts_event or 0)].append(trade)
    with gzip.open(recording.parents[1] / "rest" / "candles_1m_BTCUSD_20181112.jsonl.gz", "rt") as lines:
        bodies = [answer(json.loads(row)["body"]) for row in lines]
    candles = {one.open_time: one for body in bodies for one in Bitfinex().read_candles(body, BTCUSD, timeframe("1m"), NOW)}
    whole = sorted(minutes)[1:-1]  # the first and the last minute of the connection are partial

    assert 289 == len(whole)
    for minute in whole:
        trades = sorted(minutes[minute], key=lambda one: (one.ts_event, int(one.trade_id)))
        prices = [Decimal(one.price) for one in trades]
        candle = candles[minute]
        said = tuple(map(Decimal, (candle.open, candle.high, candle.low, candle.close, candle.volume)))

        assert (prices[0], max(prices), min(prices), prices[-1], sum(Decimal(one.size) for one in trades)) == said
