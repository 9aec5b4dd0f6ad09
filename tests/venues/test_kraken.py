"""Kraken: what only this venue does; its frames stand in tests/frames/kraken, the common promises in test_contract.py."""

import gzip
import json
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, BookSnapshot, Event, Level
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, SECOND, timeframe
from marketd.venues.books import BookKeeper
from marketd.venues.kraken import Kraken, KrakenLine, altname
from marketd.venues.notices import Acked, Checksum, Declined
from marketd.venues.venue import Answer, Span, Wanted

BTC = Instrument("kraken", "BTCUSD", "BTC/USD", "BTC", "USD", "0.1", "0.00000001")
DOGE = Instrument("kraken", "DOGEUSD", "DOGE/USD", "DOGE", "USD", "0.0000001", "0.00000001")
NOW = 1_700_000_000 * SECOND


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())


def result(rows: list[object], last: object) -> Answer:
    return answer({"error": [], "result": {"XXBTZUSD": rows, "last": last}})


def open_line() -> KrakenLine:
    return Kraken().open_line(Instruments([BTC, DOGE]))


def listed(**pairs: dict[str, object]) -> dict[str, Instrument]:
    whole = {key: {"lot_decimals": 8, "pair_decimals": 1} | pair for key, pair in pairs.items()}
    return {one.symbol: one for one in Kraken().read_instruments(answer({"error": [], "result": whole}))}


def said(line: KrakenLine, method: str, number: int, symbol: str, error: str = "") -> object:
    outcome = {"success": False, "error": error, "symbol": symbol} if error else {"success": True, "result": {"symbol": symbol}}
    return list(line.read(json.dumps({"method": method, "req_id": number} | outcome).encode(), NOW))


# Names


def test_of_three_alphabets_ours_is_the_streams_and_rest_is_asked_by_the_old_codes() -> None:
    found = listed(
        XXBTZUSD={"altname": "XBTUSD", "wsname": "XBT/USD"},
        XETHXXBT={"altname": "ETHXBT", "wsname": "ETH/XBT"},
        XDGUSD={"altname": "XDGUSD", "wsname": "XDG/USD"},
        SOLUSD={"altname": "SOLUSD", "wsname": "SOL/USD", "status": "cancel_only"},
    )

    assert {"BTCUSD": "BTC/USD", "ETHBTC": "ETH/BTC", "DOGEUSD": "DOGE/USD", "SOLUSD": "SOL/USD"} == {
        symbol: one.venue_symbol for symbol, one in found.items()
    }
    assert ["XBTUSD", "ETHXBT", "XDGUSD", "SOLUSD"] == [altname(one) for one in found.values()]
    assert ["trading", "trading", "trading", "cancel_only"] == [one.status for one in found.values()]


def test_dark_pools_are_left_out() -> None:
    dark = {"altname": "XBTUSD.d"}

    assert {} == listed(one=dark, other=dark | {"wsname": "XBT/USD"})


@pytest.mark.parametrize(
    ("said", "places", "tick"),
    [("0.1", 1, "0.1"), ("0.5", 2, "0.50"), ("0.100", 1, "0.1"), (None, 5, "0.00001"), ("1", 0, "1"), (None, 0, "1")],
)
def test_the_tick_has_as_many_places_as_the_venue_prints(said: str | None, places: int, tick: str) -> None:
    found = listed(X={"altname": "XBTUSD", "wsname": "XBT/USD", "tick_size": said, "pair_decimals": places})

    assert (tick, "0.00000001") == (found["BTCUSD"].tick, found["BTCUSD"].lot)


@pytest.mark.recorded("kraken/rest/assetpairs_20210417.jsonl.gz")
def test_each_recorded_pair_has_its_own_symbol_and_is_asked_for_by_its_altname(recording: Path) -> None:
    with gzip.open(recording, "rt") as lines:
        body = json.loads(lines.readline())["body"]
    found = Kraken().read_instruments(answer(body))

    assert 293 == len(found) == len({one.symbol for one in found})
    assert {altname(one) for one in found} == {
        pair["altname"] for pair in json.loads(body)["result"].values() if not pair["altname"].endswith(".d")
    }


# Subscriptions


def test_one_frame_for_each_channel_carries_all_symbols_and_trades_come_first() -> None:
    wanted = [Wanted(channel, one.symbol) for one in (BTC, DOGE) for channel in ("trade", "quote", "book")]
    frames = [json.loads(frame) for frame in open_line().subscribe([*wanted, Wanted("candle", "BTCUSD", "1m")])]

    both = ["BTC/USD", "DOGE/USD"]
    assert [
        {"channel": "trade", "symbol": both, "snapshot": True},
        {"channel": "ticker", "symbol": both, "event_trigger": "bbo", "snapshot": True},
        {"channel": "book", "symbol": both, "depth": 25, "snapshot": True},
        {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1, "snapshot": True},
    ] == [frame["params"] for frame in frames]


def test_what_is_given_back_is_named_with_the_parameters_that_it_was_asked_with() -> None:
    frames = open_line().unsubscribe([Wanted("book", "BTCUSD"), Wanted("candle", "BTCUSD", "5m")])

    assert [
        {"channel": "book", "symbol": ["BTC/USD"], "depth": 25},
        {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 5},
    ] == [json.loads(frame)["params"] for frame in frames]


def test_of_two_timeframes_the_shorter_is_asked_for_first_and_the_other_is_refused() -> None:
    line, words = open_line(), "Already subscribed to one ohlc interval on this symbol"
    minute, hour = Wanted("candle", "BTCUSD", "1m"), Wanted("candle", "BTCUSD", "1h")
    frames = line.subscribe([hour, minute])

    assert [1, 60] == [json.loads(frame)["params"]["interval"] for frame in frames]
    assert [Acked([minute])] == said(line, "subscribe", 1, "BTC/USD")
    assert [Declined([hour], words)] == said(line, "subscribe", 2, "BTC/USD", words)


def test_a_timeframe_that_stands_in_its_own_way_is_subscribed() -> None:
    line, minute = open_line(), Wanted("candle", "BTCUSD", "1m")
    line.subscribe([minute])

    assert [Acked([minute])] == said(line, "subscribe", 1, "BTC/USD", "Already subscribed to one ohlc interval on this symbol")


@pytest.mark.parametrize("words", ["Exceeded msg rate", "EService: Throttled", "EService:Unavailable"])
def test_of_one_request_each_symbol_is_answered_and_too_many_messages_are_no_refusal_for_good(words: str) -> None:
    line, btc, doge = open_line(), Wanted("trade", "BTCUSD"), Wanted("trade", "DOGEUSD")
    line.subscribe([btc, doge])

    assert [Acked([btc])] == said(line, "subscribe", 1, "BTC/USD")
    assert [Declined([doge], words, permanent=False)] == said(line, "subscribe", 1, "DOGE/USD", words)


# Books


def expected_checksum(bids: list[Level], asks: list[Level]) -> int:
    """The rule as the venue words it, number by number; these have all their places."""
    text = "".join(number.replace(".", "").lstrip("0") for level in [*asks[:10], *bids[:10]] for number in level)
    return zlib.crc32(text.encode())


def test_the_checksum_restores_trailing_zeros_and_counts_ten_levels_a_side() -> None:
    bids, asks = [("37001.0", "1.25000000"), ("37000.5", "0.00100000")], [("37001.1", "0.00000012"), ("37010.0", "2.00000000")]
    short: list[list[Level]] = [[("37001", "1.25"), ("37000.5", "0.001")], [("37001.1", "0.00000012"), ("37010", "2.0")]]
    many: list[Level] = [(f"{number}.5", "1.00000000") for number in range(100, 140)]
    venue = Kraken()

    assert expected_checksum(bids, asks) == venue.checksum(short[0], short[1], BTC)
    assert expected_checksum(many, many) == venue.checksum(many[:10], many, BTC)


def test_without_the_instruments_digits_a_checksum_says_nothing() -> None:
    assert Kraken().checksum([], [], Instrument("kraken", "BTCUSD", "BTC/USD", "BTC", "USD")) is None


@pytest.mark.recorded("kraken/ws_v2/book_session_pythonkrakensdk.jsonl.gz")
def test_every_recorded_checksum_holds(recording: Path) -> None:
    line, checked, events = open_line(), 0, list[Event]()
    keeper = BookKeeper("kraken", 10, by_rest=False, checks=lambda symbol, bids, asks: Kraken().checksum(bids, asks, BTC))
    with gzip.open(recording, "rt") as lines:
        frames = [json.loads(record)["frame"] for record in lines]
    for one in (one for frame in frames for one in line.read(frame.encode(), NOW)):
        if isinstance(one, BookSnapshot):
            events += keeper.on_snapshot(one)
        elif isinstance(one, BookDelta):
            events += keeper.on_delta(one)
        elif isinstance(one, Checksum):
            assert [] == keeper.on_checksum(one, NOW)
            assert keeper.is_in_sync("BTCUSD")
            checked += 1

    assert 510 == checked


# REST


def trade_rows(*ids: int) -> list[object]:
    return [["37001.1", "0.01000000", 1_700_000_000 + number, "b" if number % 2 else "s", "l", "", number] for number in ids]


def test_trades_are_asked_from_just_before_the_span_and_go_on_where_a_full_page_ends() -> None:
    venue, span = Kraken(), Span("999", "2500", NOW + 5 * SECOND, NOW + 60 * SECOND)
    request = venue.trades_request(DOGE, span)
    page = venue.read_trades(result(trade_rows(*range(999, 1999)), "1700000040123456789"), DOGE, span, NOW)
    rest = venue.read_trades(result(trade_rows(*range(1999, 2999)), "1700000050000000000"), DOGE, span, NOW)

    assert request is not None
    assert page.more is not None
    assert {"pair": "XDGUSD", "count": "1000", "since": str(NOW + 5 * SECOND - 1_000_000)} == request.params
    assert {"pair": "XDGUSD", "count": "1000", "since": "1700000040123456789"} == page.more.params
    assert rest.more is None  # it holds the last id of the span
    assert ["buy", "sell"] == [trade.side for trade in page.trades[:2]]


def test_a_trades_time_keeps_its_digits() -> None:
    body = '{"error":[],"result":{"XXBTZUSD":[["37001.1","0.01000000",1700000040.1234567,"b","l","",71234567]],"last":"17"}}'
    (trade,), more = Kraken().read_trades(answer(body), BTC, Span(None, None, NOW, None), NOW)

    assert (1_700_000_040_123_456_700, "37001.1", "0.01000000", "71234567", True) == (
        trade.ts_event, trade.price, trade.size, trade.trade_id, trade.repaired,
    )  # fmt: skip
    assert more is None


def test_where_nobody_knows_when_the_newest_page_is_asked() -> None:
    request = Kraken().trades_request(BTC, Span("5", None, None, None))

    assert request is not None
    assert {"pair": "XBTUSD", "count": "1000"} == request.params


def test_candles_are_asked_after_the_second_before_the_span_and_the_last_row_is_running() -> None:
    venue, start = Kraken(), 1_700_000_040
    rows: list[object] = [
        [start, "37001.1", "37010.0", "36999.9", "37005.0", "37004.2", "1.25000000", 42],
        [start + 60, "37005.0", "37005.0", "37005.0", "37005.0", "0.0", "0.00000000", 0],
        [start + 120, "37005.0", "37006.0", "37005.0", "37006.0", "37005.5", "0.5", 2],
    ]
    request = venue.candles_request(BTC, timeframe("1m"), Interval(start * SECOND, start * SECOND + 3 * MINUTE))
    candles = venue.read_candles(result(rows, start + 60), BTC, timeframe("1m"), NOW)

    assert {"pair": "XBTUSD", "interval": "1", "since": str(start - 1)} == request.params
    assert [True, True, False] == [candle.closed for candle in candles]
    assert [start * SECOND, "37001.1", "37010.0", "36999.9", "37005.0", "1.25000000"] == [
        candles[0].open_time, candles[0].open, candles[0].high, candles[0].low, candles[0].close, candles[0].volume,
    ]  # fmt: skip


@pytest.mark.recorded("kraken/rest/xbtusdt_20251110_*.jsonl.gz")
def test_recorded_answers_are_read_to_the_last_row(recording: Path) -> None:
    usdt = Instrument("kraken", "BTCUSDT", "BTC/USDT", "BTC", "USDT")
    with gzip.open(recording, "rt") as lines:
        body = answer(json.loads(lines.readline())["body"])
    if "trades" in recording.name:
        trades = Kraken().read_trades(body, usdt, Span(None, None, None, None), NOW).trades

        assert list(range(int(trades[0].trade_id), int(trades[-1].trade_id) + 1)) == [int(one.trade_id) for one in trades]
    else:
        candles = Kraken().read_candles(body, usdt, timeframe("1m"), NOW)

        assert {MINUTE} == {later.open_time - one.open_time for one, later in pairwise(candles)}
        assert [False] == [one.closed for one in candles if not one.closed]


@pytest.mark.parametrize(
    ("body", "status", "wait_s", "permanent"),
    [
        ({"error": ["EGeneral:Too many requests"]}, 200, 5.0, False),
        ({"error": ["EAPI:Rate limit exceeded"]}, 200, 5.0, False),
        ({"error": ["EService:Unavailable"]}, 200, 5.0, False),
        ({"error": ["EService:Throttled: 1700000040"]}, 200, 5.0, False),
        ({"error": ["EQuery:Unknown asset pair"]}, 200, 0.0, True),
        ({"error": ["EGeneral:Invalid arguments"]}, 200, 0.0, True),
        ({"error": ["EGeneral:Internal error"]}, 200, 0.0, False),
        ("<html>error 520</html>", 520, 0.0, False),
    ],
)
def test_refusals_are_known_by_their_words_whatever_the_status(body: object, status: int, wait_s: float, permanent: bool) -> None:
    refusal = Kraken().read_refusal(answer(body, status))

    assert isinstance(refusal, Refused)
    assert (wait_s, permanent) == (refusal.retry_after_s, refusal.permanent)


def test_throttling_lasts_until_the_time_that_is_said_by_the_venues_own_clock() -> None:
    until = answer({"error": ["EService:Throttled: 1700000040"]}, date="Tue, 14 Nov 2023 22:13:20 GMT")
    refusal = Kraken().read_refusal(until)

    assert isinstance(refusal, Refused)
    assert 40.0 == refusal.retry_after_s


def test_a_warning_is_no_refusal() -> None:
    assert Kraken().read_refusal(answer({"error": ["WGeneral:Careful"], "result": {}})) is None


@pytest.mark.parametrize("body", ['{"error":[],"result":{}}', '{"error":[],"result":{"A":[],"B":[],"last":1}}', "<html>"])
def test_an_answer_without_the_rows_of_one_symbol_is_a_bad_frame(body: str) -> None:
    with pytest.raises(BadFrame):
        Kraken().read_trades(answer(body), BTC, Span(None, None, None, None), NOW)
    with pytest.raises(BadFrame):
        Kraken().read_candles(answer(body), BTC, timeframe("1m"), NOW)
