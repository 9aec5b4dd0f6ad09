"""Coinbase: what only this venue does; its frames stand in tests/frames/coinbase, the common promises in test_contract.py."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import BadFrame
from marketd.model.events import Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, timeframe
from marketd.model.times import iso_of_ns
from marketd.venues.coinbase import _TYPES, Coinbase, CoinbaseLine, WireMatch
from marketd.venues.notices import Acked, Declined, Unknown, Unsaid
from marketd.venues.venue import Answer, Span, Wanted

BTC = Instrument("coinbase", "BTCUSD", "BTC-USD", "BTC", "USD")
ETH = Instrument("coinbase", "ETHUSD", "ETH-USD", "ETH", "USD")
TRADE, QUOTE, BOOK = Wanted("trade", "BTCUSD"), Wanted("quote", "BTCUSD"), Wanted("book", "BTCUSD")
ETH_TRADE = Wanted("trade", "ETHUSD")
OPEN = 1_767_225_600_000_000_000  # 2026-01-01


def open_line() -> CoinbaseLine:
    return Coinbase().open_line(Instruments([BTC, ETH]))


def channels(frame: bytes) -> dict[str, list[str]]:
    return {channel["name"]: channel["product_ids"] for channel in json.loads(frame)["channels"]}


def failed(line: CoinbaseLine, reason: str) -> object:
    return list(line.read(json.dumps({"type": "error", "message": "Failed to subscribe", "reason": reason}).encode(), 1))


def trades_page(*ids: int) -> Answer:
    rows = [
        {
            "trade_id": number,
            "side": "sell",
            "size": "0.0100",
            "price": "37001.20",
            "time": f"2026-01-01T00:00:{number % 60:02}.5Z",
        }
        for number in ids
    ]
    return Answer(200, {}, json.dumps(rows).encode())


def test_products_stand_in_their_channels_and_each_product_has_a_heartbeat() -> None:
    (frame,) = open_line().subscribe([TRADE, QUOTE, BOOK, ETH_TRADE])

    assert json.loads(frame)["type"] == "subscribe"
    assert channels(frame) == {
        "matches": ["BTC-USD", "ETH-USD"],
        "ticker": ["BTC-USD"],
        "level2_batch": ["BTC-USD"],
        "heartbeat": ["BTC-USD", "ETH-USD"],
    }


def test_a_heartbeat_goes_with_the_last_channel_of_its_product() -> None:
    line = open_line()
    line.subscribe([TRADE, BOOK, ETH_TRADE])

    assert [channels(frame) for frame in line.unsubscribe([TRADE])] == [{"matches": ["BTC-USD"]}]
    assert [channels(frame) for frame in line.unsubscribe([BOOK])] == [{"level2_batch": ["BTC-USD"], "heartbeat": ["BTC-USD"]}]


def test_the_full_state_confirms_what_is_in_it() -> None:
    line = open_line()
    line.subscribe([TRADE, BOOK])
    state = {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD", "GONE-USD"]}]}
    told = line.read(json.dumps(state).encode(), 1)

    assert told == (Acked([TRADE]),)
    assert failed(line, "") == [Declined([BOOK], "Failed to subscribe", permanent=True)]


def test_the_product_that_a_refusal_names_is_refused_and_the_rest_of_its_request_asked_again() -> None:
    line = open_line()
    line.subscribe([TRADE, ETH_TRADE, QUOTE])
    words = "Failed to subscribe: ETH-USD is not a valid product"

    assert failed(line, "ETH-USD is not a valid product") == [
        Declined([ETH_TRADE], words, permanent=True),
        Declined([TRADE, QUOTE], words, permanent=False),
    ]


def test_a_refused_channel_is_refused_for_all_its_products() -> None:
    line = open_line()
    line.subscribe([TRADE, BOOK])
    words = "Failed to subscribe: level2_batch, full now require authentication"

    assert failed(line, "level2_batch, full now require authentication") == [
        Declined([BOOK], words, permanent=True),
        Declined([TRADE], words, permanent=False),
    ]


def test_a_refusal_that_names_nothing_belongs_to_the_oldest_open_request_or_to_nobody() -> None:
    line = open_line()
    line.subscribe([TRADE, BOOK])
    line.subscribe([ETH_TRADE])
    words = "Failed to subscribe:  is not a valid product"

    assert failed(line, " is not a valid product") == [Declined([TRADE, BOOK], words, permanent=False)]
    assert failed(line, " is not a valid product") == [Declined([ETH_TRADE], words, permanent=True)]
    assert failed(line, " is not a valid product") == [Declined((), words, permanent=False)]


def test_words_about_the_connection_leave_the_open_requests_alone() -> None:
    line = open_line()
    line.subscribe([TRADE])
    told = line.read(b'{"type":"error","message":"Slow consume","reason":""}', 1)

    assert told == (Declined((), "Slow consume", permanent=False),)
    assert failed(line, "") == [Declined([TRADE], "Failed to subscribe", permanent=True)]


def test_an_update_with_a_side_that_does_not_exist_is_bad_as_a_whole() -> None:
    frame = (
        b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1","1"],["hold","2","2"]],"time":"2026-01-01T00:00:00Z"}'
    )

    with pytest.raises(BadFrame):
        open_line().read(frame, 1)


def test_a_known_type_without_its_fields_is_bad_and_an_unknown_one_is_named() -> None:
    line = open_line()

    for kind in sorted(_TYPES - {"subscriptions", "error"}):
        with pytest.raises(BadFrame):
            line.read(b'{"type":"%s"}' % kind.encode(), 1)
    with pytest.raises(BadFrame):
        line.read(b'{"type":"subscriptions","channels":[1]}', 1)

    assert [Unknown("type surprise")] == list(line.read(b'{"type":"surprise"}', 1))
    assert [Unsaid("type open is not subscribed")] == list(line.read(b'{"type":"open"}', 1))


def test_the_types_by_name_are_those_that_are_decoded() -> None:
    assert {kind.__struct_config__.tag for kind in [WireMatch, *open_line()._say]} == _TYPES


@given(st.integers(0, 250 * 366 * 86_400 * 1_000_000))
def test_a_trades_time_is_exact_to_the_microsecond(us: int) -> None:
    frame = (
        b'{"time":"%s","type":"match","trade_id":7,"side":"buy","size":"1","price":"2","product_id":"BTC-USD"}'
        % iso_of_ns(us * 1000).replace("+00:00", "Z").encode()
    )
    (trade,) = open_line().read(frame, 1)

    assert isinstance(trade, Trade)
    assert trade.ts_event == us * 1000


def test_every_request_says_who_asks() -> None:
    venue = Coinbase()
    span = Span("1", "2", None, None)
    asked = [venue.instruments_request(), venue.trades_request(BTC, span)]
    asked.append(venue.candles_request(BTC, timeframe("1m"), Interval(OPEN, OPEN + MINUTE)))

    assert all(request is not None and request.headers["User-Agent"] for request in asked)
    assert venue.connect_headers()["User-Agent"]


def test_instruments_carry_the_steps_and_what_does_not_trade_says_so() -> None:
    product = {"base_currency": "BTC", "quote_currency": "USD", "quote_increment": "0.01", "base_increment": "0.00000001"}
    listed = [
        {"id": "BTC-USD", **product, "status": "online", "trading_disabled": False},
        {"id": "BTC-USD", **product, "status": "online", "trading_disabled": True},
        {"id": "BTC-USD", **product, "status": "delisted"},
    ]
    told = Coinbase().read_instruments(Answer(200, {}, json.dumps(listed).encode()))

    assert told[0] == Instrument("coinbase", "BTCUSD", "BTC-USD", "BTC", "USD", "0.01", "0.00000001", "trading")
    assert [one.status for one in told] == ["trading", "trading_disabled", "delisted"]


def test_three_hundred_buckets_are_asked_for_and_never_the_one_that_gets_all_refused() -> None:
    request = Coinbase().candles_request(BTC, timeframe("1m"), Interval(OPEN, OPEN + 300 * MINUTE))

    assert request.params == {"granularity": "60", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T04:59:00Z"}


@pytest.mark.parametrize(
    ("start", "stop", "first", "last"),
    [
        (OPEN, OPEN + MINUTE, "00:00:00", "00:00:00"),
        (OPEN + 1, OPEN + 2 * MINUTE + 1, "00:01:00", "00:02:00"),
        (OPEN - 1, OPEN + 1, "00:00:00", "00:00:00"),
        (OPEN, OPEN + 1000 * MINUTE, "00:00:00", "04:59:00"),
        (OPEN + 1, OPEN + 2, "00:01:00", "00:01:00"),
    ],
)
def test_a_window_lies_on_the_grid(start: int, stop: int, first: str, last: str) -> None:
    request = Coinbase().candles_request(BTC, timeframe("1m"), Interval(start, stop))

    assert (request.params["start"], request.params["end"]) == (f"2026-01-01T{first}Z", f"2026-01-01T{last}Z")


def test_candle_rows_begin_with_the_low_and_keep_the_digits_of_their_numbers() -> None:
    rows = b"[[1767225660, 36990.1, 37020.50, 37001, 37010.0000000000000001, 4.25e-3], [1767225600, 1, 4, 2, 3, 10]]"
    told = Coinbase().read_candles(Answer(200, {}, rows), BTC, timeframe("1m"), 9)

    assert [(one.open_time, one.closed) for one in told] == [(OPEN, True), (OPEN + MINUTE, False)]
    assert [(one.open, one.high, one.low, one.close, one.volume) for one in told] == [
        ("2", "4", "1", "3", "10"),
        ("37001", "37020.50", "36990.1", "37010.0000000000000001", "0.00425"),
    ]


@pytest.mark.parametrize("row", [b"[1767225600,1,4,2,null,10]", b"[1767225600,1,4,2,[],10]", b'[1767225600,1,4,2,"x",10]'])
def test_a_candle_without_a_number_is_a_bad_frame(row: bytes) -> None:
    with pytest.raises(BadFrame):
        Coinbase().read_candles(Answer(200, {}, b"[" + row + b"]"), BTC, timeframe("1m"), 9)


def test_trades_are_fetched_backwards_until_the_first_missing_id_is_there() -> None:
    venue, span = Coinbase(), Span("95", "102", None, None)
    first = venue.trades_request(BTC, span)
    assert first is not None
    page = venue.read_trades(trades_page(102, 101, 100), BTC, span, 9)
    assert page.more is not None
    last = venue.read_trades(trades_page(99, 98, 97, 96, 95, 94), BTC, span, 9)

    assert first.path == "/products/BTC-USD/trades"
    assert first.params == {"limit": "1000", "after": "103"}
    assert [one.trade_id for one in page.trades] == ["100", "101", "102"]
    assert page.more.params["after"] == "100"
    assert last.more is None
    assert {one.side for one in page.trades} == {"buy"}  # the maker sold
    assert all(one.repaired for one in page.trades)


def test_without_ids_trades_are_fetched_from_the_newest_back_to_the_moment() -> None:
    venue, span = Coinbase(), Span(None, None, OPEN + 10_000_000_000, None)
    first = venue.trades_request(BTC, span)
    assert first is not None

    assert "after" not in first.params
    assert venue.read_trades(trades_page(30, 20, 11), BTC, span, 9).more is not None
    assert venue.read_trades(trades_page(11, 10, 9), BTC, span, 9).more is None


@pytest.mark.parametrize("answer", [trades_page(), trades_page(3, 2, 1)])
def test_pages_end_where_the_history_begins(answer: Answer) -> None:
    assert Coinbase().read_trades(answer, BTC, Span("0", "5", None, None), 9).more is None
