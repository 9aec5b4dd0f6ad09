"""Binance: what its frames do not say by themselves. The frames themselves are in tests/frames/binance."""

import msgspec
import pytest

from marketd.errors import BadFrame, Refused
from marketd.model.events import Event
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, timeframe
from marketd.venues.binance import Binance, topic
from marketd.venues.notices import Acked, Cut, Declined, Unsaid
from marketd.venues.venue import Answer, Span, Wanted

BTC = Instrument("binance", "BTCUSDT", "BTCUSDT", "BTC", "USDT")
TS = 1_700_000_000_000_000_000


def wanted(count: int) -> list[Wanted]:
    return [Wanted("trade", f"COIN{number}USDT") for number in range(count)]


def test_the_url_carries_what_fits_and_the_rest_is_subscribed_to() -> None:
    venue, many = Binance(), wanted(600)
    url = venue.connect_url("wss://host:9443", many)
    carried = url.partition("streams=")[2].split("/")
    frames = [msgspec.json.decode(frame) for frame in venue.open_line(Instruments()).subscribe(many)]
    asked = [name for frame in frames if frame["method"] == "SUBSCRIBE" for name in frame["params"]]

    assert len(url) < 8000
    assert url.startswith("wss://host:9443/stream?streams=coin0usdt@trade/")
    assert carried + asked == [topic(one) for one in many]
    assert max(len(frame.get("params", [])) for frame in frames) <= 100


def test_what_the_url_carried_is_confirmed_by_the_venues_own_list() -> None:
    line, (one, other) = Binance().open_line(Instruments()), wanted(2)
    (question,) = line.subscribe([one, other])

    assert msgspec.json.decode(question) == {"method": "LIST_SUBSCRIPTIONS", "id": 1}
    told = line.read(b'{"result":["coin0usdt@trade"],"id":1}', TS)
    assert told == [Acked([one]), Declined([other], "not among the streams that the venue lists")]


def test_an_answer_belongs_to_its_request() -> None:
    line, first = Binance().open_line(Instruments()), wanted(1)
    line.subscribe(first)
    more = [Wanted("book", "BTCUSDT")]
    line.subscribe(more)

    assert line.read(b'{"result":null,"id":2}', TS) == (Acked(more),)
    assert line.read(b'{"code":2,"msg":"Invalid request","id":1}', TS) == (Declined(first, "2: Invalid request"),)


@pytest.mark.parametrize(
    "frame", [b'{"e":"serverShutdown","E":1700000000000}', b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}']
)
def test_an_announced_shutdown_asks_for_a_successor(frame: bytes) -> None:
    assert Binance().open_line(Instruments()).read(frame, TS) == (Cut("serverShutdown announced"),)


def test_a_bad_frame_of_a_known_stream_costs_nothing_but_itself() -> None:
    line = Binance().open_line(Instruments())
    good = (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":7,"p":"1.10","q":"2.00","T":1,"m":true,"M":true}}'
    )
    before = line.read(good, TS)
    with pytest.raises(BadFrame):
        line.read(good[:-20], TS)

    assert line.read(good, TS) == before


def test_repairs_page_by_id_until_the_gap_is_covered() -> None:
    venue, span = Binance(), Span("5000", "6500", None, None)
    first = venue.trades_request(BTC, span)
    rows = [
        {"id": number, "price": "1.0", "qty": "2.0", "time": 1_700_000_000_000, "isBuyerMaker": False}
        for number in range(5000, 6000)
    ]
    page = venue.read_trades(Answer(200, {}, msgspec.json.encode(rows)), BTC, span, TS)
    last = venue.read_trades(Answer(200, {}, msgspec.json.encode([{**rows[0], "id": 6500}])), BTC, span, TS)

    assert first is not None
    assert first.params == {"symbol": "BTCUSDT", "fromId": "5000", "limit": "1000"}
    assert page.more is not None
    assert page.more.params["fromId"] == "6000"
    assert last.more is None
    assert [(one.trade_id, one.side, one.repaired) for one in page.trades[:1]] == [("5000", "buy", True)]


def test_candles_are_asked_for_half_open_though_the_venue_takes_both_ends() -> None:
    request = Binance().candles_request(BTC, timeframe("1m"), Interval(10 * MINUTE, 12 * MINUTE))

    assert (request.params["startTime"], request.params["endTime"]) == ("600000", "719999")


def test_only_a_successor_closes_a_candle_that_came_over_rest() -> None:
    row = [0, "1", "3", "0.5", "2", "9", 59_999, "0", 1, "0", "0", "0"]
    later = [60_000, *row[1:6], 119_999, *row[7:]]
    candles = Binance().read_candles(Answer(200, {}, msgspec.json.encode([row, later])), BTC, timeframe("1m"), TS)

    assert [(one.open_time, one.close_time, one.closed) for one in candles] == [(0, MINUTE, True), (MINUTE, 2 * MINUTE, False)]


@pytest.mark.parametrize(
    ("status", "headers", "wait_s", "permanent"),
    [
        (429, {"retry-after": "7"}, 7.0, False),
        (418, {"retry-after": "120"}, 120.0, False),
        (451, {}, 0.0, True),
        (400, {}, 0.0, True),
        (503, {}, 0.0, False),
    ],
)
def test_a_refusal_has_the_venues_words_and_its_waiting_time(
    status: int, headers: dict[str, str], wait_s: float, permanent: bool
) -> None:
    refusal = Binance().read_refusal(Answer(status, headers, b'{"code":-1003,"msg":"Too many requests"}'))

    assert isinstance(refusal, Refused)
    assert refusal.words.startswith("Too many requests")
    assert (refusal.status, refusal.retry_after_s, refusal.permanent) == (status, wait_s, permanent)


@pytest.mark.parametrize(("text", "symbols"), [("7", 7), ("1000", 100), ("0", 1)])
def test_pairs_per_connection_is_a_setting_within_the_venues_bounds(text: str, symbols: int) -> None:
    assert Binance({"PAIRS_PER_CONNECTION": text}).limits.symbols_per_connection == symbols


TRADE = '{"e":"trade","E":1,"s":"BTCUSDT","t":7,"p":"1.10","q":"2.00","T":1,"m":true,"M":true}'
QUOTE = '{"u":9,"s":"BTCUSDT","b":"1.10","B":"2.00","a":"1.20","A":"3.00"}'
DELTA = '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":3,"u":4,"b":[["1.10","2.00"]],"a":[]}'
KLINE = (
    '{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m",'
    '"o":"1","c":"2","h":"3","l":"1","v":"9","x":false,"q":"9"}}'
)


@pytest.mark.parametrize(("kind", "data"), [("trade", TRADE), ("bookTicker", QUOTE), ("depth@100ms", DELTA), ("kline_1m", KLINE)])
def test_the_order_of_a_frames_fields_does_not_matter(kind: str, data: str) -> None:
    line = Binance().open_line(Instruments())
    as_written = line.read(f'{{"stream":"btcusdt@{kind}","data":{data}}}'.encode(), TS)
    turned = msgspec.json.encode({"stream": f"btcusdt@{kind}", "data": dict(reversed(msgspec.json.decode(data).items()))})
    spaced = f'{{"stream":"btcusdt@{kind}","data":{data} }} '.encode()

    assert isinstance(as_written[0], Event)
    assert as_written == line.read(turned, TS) == line.read(spaced, TS)


@pytest.mark.parametrize("data", [TRADE, DELTA, KLINE])
def test_a_frame_that_ends_as_another_kind_is_not_taken_for_it(data: str) -> None:
    line = Binance().open_line(Instruments())
    other = msgspec.json.decode(data)["e"] + "2"
    frame = f'{{"stream":"btcusdt@aggTrade","data":{data.replace(msgspec.json.decode(data)["e"], other, 1)}}}'

    assert line.read(frame.encode(), TS) == (Unsaid("stream aggTrade is not subscribed"),)
