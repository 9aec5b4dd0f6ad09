"""Bybit: what only this venue does; its frames stand in tests/frames/bybit, the common promises in test_contract.py."""

import json

import msgspec
import pytest

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, timeframe
from marketd.venues.bybit import ROUTE_BYTES, Bybit, BybitLine
from marketd.venues.notices import Acked, Alive, Declined, Unsaid
from marketd.venues.venue import Answer, Span, Wanted

BTC = Instrument("bybit", "BTCUSDT", "BTCUSDT", "BTC", "USDT")
OPEN = 1_700_000_040_000_000_000


def body(result: object, code: int = 0, words: str = "OK", status: int = 200, **headers: str) -> Answer:
    envelope = {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": 1_700_000_100_000}
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(envelope).encode())


def answered(line: BybitLine, number: str, words: str = "", success: bool = False) -> object:
    frame = {"success": success, "ret_msg": words, "conn_id": "c", "req_id": number, "op": "subscribe"}
    (notice,) = line.read(json.dumps({key: value for key, value in frame.items() if value != ""}).encode(), 1)
    return notice


def line_that_asked(*calls: list[Wanted]) -> BybitLine:
    line = Bybit().open_line(Instruments([BTC]))
    for wanted in calls:
        line.subscribe(wanted)
    return line


def test_every_topic_is_asked_for_once_ten_in_a_request_and_all_below_the_limit_in_characters() -> None:
    wanted = [Wanted("candle", f"{'X' * 30}{number:03}USDT", "12h") for number in range(Bybit().limits.topics_per_connection)]
    asked = [json.loads(frame) for frame in Bybit().open_line(Instruments()).subscribe(wanted)]
    topics = [topic for request in asked for topic in request["args"]]

    assert topics == [f"kline.720.{one.symbol}" for one in wanted]
    assert {len(request["args"]) for request in asked} == {10}
    assert len({request["req_id"] for request in asked}) == len(asked)
    assert len(json.dumps(topics)) < 21_000


def test_each_channel_has_its_topic() -> None:
    wanted = [
        Wanted("trade", "BTCUSDT"),
        Wanted("quote", "BTCUSDT"),
        Wanted("book", "BTCUSDT"),
        Wanted("candle", "BTCUSDT", "1d"),
    ]
    (frame,) = Bybit().open_line(Instruments()).unsubscribe(wanted)
    asked = json.loads(frame)

    assert asked["op"] == "unsubscribe"
    assert asked["args"] == ["publicTrade.BTCUSDT", "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "kline.D.BTCUSDT"]


def test_an_answer_counts_for_the_request_whose_id_it_carries() -> None:
    trade, book = Wanted("trade", "BTCUSDT"), Wanted("book", "BTCUSDT")
    line = line_that_asked([trade], [book])

    assert answered(line, "2", success=True) == Acked([book])
    assert answered(line, "1", success=True) == Acked([trade])
    assert isinstance(answered(line, "1", success=True), Unsaid)


def test_a_topic_refused_alone_is_refused_for_good() -> None:
    bad = Wanted("trade", "NOSUCHUSDT")
    words = "error:handler not found,topic:publicTrade.NOSUCHUSDT"

    assert answered(line_that_asked([bad]), "1", words) == Declined([bad], words, permanent=True)


def test_topics_refused_together_are_to_be_asked_for_again_one_by_one() -> None:
    wanted = [Wanted("trade", "BTCUSDT"), Wanted("trade", "NOSUCHUSDT")]
    words = "error:handler not found,topic:publicTrade.NOSUCHUSDT"

    assert answered(line_that_asked(wanted), "1", words) == Declined(wanted, words, permanent=False)


def test_a_refusal_without_an_id_belongs_to_the_request_with_the_topic_it_names() -> None:
    trade, bad = Wanted("trade", "BTCUSDT"), Wanted("trade", "NOSUCHUSDT")
    words = "error:handler not found,topic:publicTrade.NOSUCHUSDT"

    assert answered(line_that_asked([trade], [bad]), "", words) == Declined([bad], words, permanent=True)


def test_a_refusal_without_an_id_or_a_topic_belongs_to_the_oldest_open_request_or_to_nobody() -> None:
    trade, book = Wanted("trade", "BTCUSDT"), Wanted("book", "BTCUSDT")
    line = line_that_asked([trade, book], [trade])

    assert answered(line, "", "args size >10") == Declined([trade, book], "args size >10", permanent=False)
    assert answered(line, "", "args size >10") == Declined([trade], "args size >10", permanent=True)
    assert answered(line, "", "args size >10") == Declined((), "args size >10", permanent=False)


def test_a_topic_that_is_subscribed_already_is_as_good_as_confirmed() -> None:
    trade, book = Wanted("trade", "BTCUSDT"), Wanted("book", "BTCUSDT")
    words = "error:already subscribed,topic:publicTrade.BTCUSDT"

    assert answered(line_that_asked([trade]), "1", words) == Acked([trade])
    assert answered(line_that_asked([trade, book]), "1", words) == Declined([trade, book], words, permanent=False)


def test_ping_is_answered_by_a_pong_that_calls_itself_ping() -> None:
    line = line_that_asked()

    assert json.loads(line.ping() or b"") == {"op": "ping"}
    assert line.read(b'{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}', 1) == (Alive(),)


def test_good_trades_are_kept_beside_a_bad_one_and_nothing_is_kept_when_all_are_bad() -> None:
    good = '{"i":"2","T":1700000042991,"p":"1.50","v":"0.2","S":"Buy","s":"BTCUSDT"}'
    bad = '{"i":"1","T":"noon","p":"1","v":"1","S":"Buy","s":"BTCUSDT"}'
    frame = '{"topic":"publicTrade.BTCUSDT","ts":1700000043000,"type":"snapshot","data":[%s,%s]}'
    told = line_that_asked().read((frame % (bad, good)).encode(), 7)

    assert [one for one in told if isinstance(one, Trade)] == [
        Trade("bybit", "BTCUSDT", 1_700_000_042_991_000_000, 7, "1.50", "0.2", "buy", "2")
    ]
    assert len(told) == 2
    with pytest.raises(BadFrame):
        line_that_asked().read((frame % (bad, bad)).encode(), 7)


def test_deltas_of_a_book_follow_each_other_by_one() -> None:
    frame = '{"topic":"orderbook.50.BTCUSDT","ts":2,"type":"delta","data":{"s":"BTCUSDT","b":[],"a":[],"u":%d,"seq":9}}'
    told = [one for number in (7, 8) for one in line_that_asked().read((frame % number).encode(), 1)]

    assert told == [BookDelta("bybit", "BTCUSDT", 2_000_000, 1, [], [], number, number - 1) for number in (7, 8)]


def test_the_remembered_beginnings_of_frames_are_as_long_as_what_is_compared() -> None:
    assert {len(start) for start in line_that_asked()._routes} == {ROUTE_BYTES}


def test_instruments_carry_the_steps_and_what_does_not_trade_says_so() -> None:
    listed = {
        "category": "spot",
        "list": [
            {
                "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading",
                "lotSizeFilter": {"basePrecision": "0.000001"}, "priceFilter": {"tickSize": "0.10"},
            },
            {"symbol": "OLDUSDT", "baseCoin": "OLD", "quoteCoin": "USDT", "status": "Closed"},
        ],
    }  # fmt: skip

    assert Bybit().read_instruments(body(listed)) == [
        Instrument("bybit", "BTCUSDT", "BTCUSDT", "BTC", "USDT", "0.10", "0.000001", "trading"),
        Instrument("bybit", "OLDUSDT", "OLDUSDT", "OLD", "USDT", None, None, "Closed"),
    ]


def test_a_window_of_candles_ends_on_its_last_open_time_and_names_the_market() -> None:
    request = Bybit().candles_request(BTC, timeframe("1m"), Interval(OPEN, OPEN + 3 * MINUTE))

    assert request.params["category"] == "spot"
    assert request.params["interval"] == "1"
    assert int(request.params["start"]) == OPEN // 1_000_000
    assert OPEN + 2 * MINUTE <= int(request.params["end"]) * 1_000_000 < OPEN + 3 * MINUTE


def test_candles_come_oldest_first_and_the_newest_is_not_closed() -> None:
    rows = [
        [str((OPEN + 2 * MINUTE) // 1_000_000), "3.0", "3.5", "2.9", "3.10", "1", "3"],
        [str((OPEN + MINUTE) // 1_000_000), "2.0", "2.5", "1.9", "2.10", "0.50", "1"],
    ]
    told = Bybit().read_candles(body({"category": "spot", "list": rows}), BTC, timeframe("1m"), 9)

    assert [(one.open_time, one.close_time, one.closed) for one in told] == [
        (OPEN + MINUTE, OPEN + 2 * MINUTE, True),
        (OPEN + 2 * MINUTE, OPEN + 3 * MINUTE, False),
    ]
    assert msgspec.structs.asdict(told[0]) == {
        "venue": "bybit", "symbol": "BTCUSDT", "ts_event": None, "ts_recv": 9, "timeframe": "1m",
        "open_time": OPEN + MINUTE, "close_time": OPEN + 2 * MINUTE, "open": "2.0", "high": "2.5", "low": "1.9", "close": "2.10",
        "volume": "0.50", "closed": True, "revision": 0, "repaired": False,
    }  # fmt: skip


def test_recent_trades_come_oldest_first_marked_as_repaired_and_there_are_no_more() -> None:
    rows = [
        {"execId": "22", "symbol": "BTCUSDT", "price": "2.00", "size": "1", "side": "Sell", "time": "1700000040124"},
        {"execId": "21", "symbol": "BTCUSDT", "price": "1.90", "size": "3", "side": "Buy", "time": "1700000040123"},
    ]
    page = Bybit().read_trades(body({"list": rows}), BTC, Span(None, None, 1, 2), 9)

    assert page.more is None
    assert page.trades == [
        Trade("bybit", "BTCUSDT", 1_700_000_040_123_000_000, 9, "1.90", "3", "buy", "21", True),
        Trade("bybit", "BTCUSDT", 1_700_000_040_124_000_000, 9, "2.00", "1", "sell", "22", True),
    ]


@pytest.mark.parametrize(
    ("answer", "wait_s", "permanent"),
    [
        (body({}, 10006, "Too many visits!"), 5.0, False),
        (body({}, 10006, "Too many visits!", x_bapi_limit_reset_timestamp="1700000103500"), 3.5, False),
        (body({}, 10006, "Too many visits!", x_bapi_limit_reset_timestamp="1700000000000"), 0.0, False),
        (body({}, 10001, "Not supported symbols"), 0.0, True),
        (body({}, 10016, "Server error"), 0.0, False),
        (Answer(403, {}, b"access too frequent"), 600.0, False),
        (Answer(403, {}, b"The distribution is configured to block access from your country."), 0.0, True),
        (Answer(404, {}, b""), 0.0, True),
        (Answer(429, {"retry-after": "3"}, b"{}"), 5.0, False),
    ],
)
def test_refusals_say_how_long_and_whether_for_good(answer: Answer, wait_s: float, permanent: bool) -> None:
    refusal = Bybit().read_refusal(answer)

    assert isinstance(refusal, Refused)
    assert (refusal.retry_after_s, refusal.permanent) == (wait_s, permanent)


def test_success_is_no_refusal() -> None:
    assert Bybit().read_refusal(body({"list": []})) is None
