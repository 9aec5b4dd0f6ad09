"""Other producers' events: the same event whatever the names and notations, and never a failure."""

import json
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import AnyEvent, BookL2, Candle, Gap, Heartbeat, Quote, Status, Trade
from marketd.model.times import iso_of_ns
from marketd.model.vet import impossible
from marketd.model.wire import encode
from marketd.sources.tolerant import SHOWN_MAX, Malformed, TolerantReader, read_event
from tests.fuzz.mutations import all_of, one_of
from tests.model.strategies import events
from tests.samples import MS, T0, book, candle, gap, heartbeat, quote, status, trade

NOW = 4_200_000_000_000_000_000
SAMPLES: list[AnyEvent] = [trade(), quote(), book(), candle(), gap(3, 4), heartbeat(), status()]


@given(events)
def test_our_own_form_stays_as_it_is(event: AnyEvent) -> None:
    early = min(event.ts_recv, NOW if event.ts_event is None else event.ts_event)
    if impossible(event) is not None or early < 10**17:
        return

    assert event == read_event(encode(event), NOW)


names = {
    "type": ["type", "event_type", "eventType", "kind", "channel"],
    "provider": ["provider", "venue", "exchange", "source"],
    "symbol": ["symbol", "pair", "instrument", "product_id"],
    "price": ["price", "px", "p", "trade_price"],
    "size": ["size", "qty", "quantity", "amount", "volume"],
    "side": ["side", "taker_side", "aggressorSide"],
    "trade_id": ["trade_id", "tradeId", "id", "TRADE-ID"],
    "ts_event": ["ts_event", "timestamp", "time", "ts", "event_time", "exchange_ts"],
    "ts_recv": ["ts_recv", "received_at", "recv_ts", "localTimestamp"],
}
notations_of_time = ["s", "s.", "ms", "us", "ns", "iso", "isoZ", "naive", "text"]


def written(ts: int, notation: str) -> str:
    """JSON of a whole millisecond."""
    fraction = f"{ts // 1_000_000_000}.{ts % 1_000_000_000:09d}"
    iso = iso_of_ns(ts)
    return {
        "s": fraction.rstrip("0").rstrip("."), "s.": fraction, "ms": str(ts // 10**6), "us": str(ts // 1000), "ns": str(ts),
        "iso": json.dumps(iso), "isoZ": json.dumps(iso.replace("+00:00", "Z")), "text": f'"{ts // 10**6}"',
        "naive": json.dumps(iso.removesuffix("+00:00").replace("T", " ")),
    }[notation]  # fmt: skip


@given(st.data())
def test_names_and_notations_make_no_difference(data: st.DataObject) -> None:
    said = {key: data.draw(st.sampled_from(known)) for key, known in names.items()}
    ts_event = T0 + data.draw(st.integers(0, 10**9)) * MS
    ts_recv = ts_event + data.draw(st.integers(0, 10**4)) * MS
    price, size = data.draw(st.from_regex(r"[1-9][0-9]{0,12}(\.[0-9]{1,18})?", fullmatch=True)), "0.10"
    number = data.draw(st.sampled_from(["{}", '"{}"']))
    values = {
        "type": data.draw(st.sampled_from(['"trade"', '"TRADE"', '"Trades"'])),
        "provider": data.draw(st.sampled_from(['"binance"', '"Binance"', '"BINANCE"'])),
        "symbol": data.draw(st.sampled_from(['"BTCUSDT"', '"btcusdt"', '"BTC-USDT"', '"btc/usdt"', '"BTC_USDT"'])),
        "price": number.format(price),
        "size": number.format(size),
        "side": data.draw(st.sampled_from(['"buy"', '"BUY"', '"b"', '"Bid"'])),
        "trade_id": data.draw(st.sampled_from(["77", '"77"'])),
        "ts_event": written(ts_event, data.draw(st.sampled_from(notations_of_time))),
        "ts_recv": written(ts_recv, data.draw(st.sampled_from(notations_of_time))),
    }
    extra = data.draw(st.sampled_from([[], ['"raw_json":{"a":[1,2,{}]}'], ['"x":null', '"ord_type":"limit"']]))
    fields = data.draw(st.permutations([f"{json.dumps(said[key])}: {value}" for key, value in values.items()] + extra))

    assert Trade("binance", "BTCUSDT", ts_event, ts_recv, price, size, "buy", "77") == read_event(
        f"{{{','.join(fields)}}}".encode(), NOW
    )


def said(text: str) -> Any:
    return read_event(text.encode(), NOW)


def test_what_is_optional_may_be_missing() -> None:
    found = said('{"exchange":"kraken","pair":"BTC/USD","price":1.50,"qty":2e-3}')

    assert Trade("kraken", "BTCUSD", None, NOW, "1.50", "0.002", None, "") == found


def test_a_sign_or_a_makers_flag_tells_the_side() -> None:
    assert said('{"exchange":"x","pair":"AB","price":1,"qty":-2}').side == "sell"
    assert said('{"exchange":"x","pair":"AB","price":1,"qty":2,"is_buyer_maker":true}').side == "sell"
    assert said('{"exchange":"x","pair":"AB","price":1,"qty":2,"isBuyerMaker":false}').side == "buy"
    assert said('{"exchange":"x","pair":"AB","price":1,"qty":2,"side":"unknown"}').side is None


def test_quotes_books_candles_and_the_rest_in_other_words() -> None:
    head = '"venue":"x","pair":"ab","ts":1700000000'
    at = 1_700_000_000_000_000_000

    assert Quote("x", "AB", at, NOW, "1.0", "2", "1.1", "0", None) == said(
        f'{{"event":"bookTicker",{head},"bid_price":1.0,"bidQty":"2","best_ask":"1.1"}}'
    )
    assert BookL2("x", "AB", at, NOW, [("1", "2"), ("0.9", "1")], [("1.1", "0.10")], 9) == said(
        f'{{"type":"orderbook",{head},"bids":[["1",2],[0.9,1,7]],"asks":[{{"px":1.1,"qty":"0.10"}}],"updateId":9}}'
    )
    assert Candle("x", "AB", at, NOW, "1m", at, at + 60 * 10**9, "1", "2", "1", "1.5", "7", True) == said(
        f'{{"kind":"kline",{head},"interval":"1m","open":1,"high":2,"low":1,"close":1.5,"vol":7,"is_closed":true}}'
    )
    assert Heartbeat("x", "__system__", at, NOW, "") == said(f'{{"type":"heartbeat",{head}}}')
    assert Status("x", "__system__", None, NOW, "stale", "silent") == said(
        '{"type":"status","provider":"x","state":"stale","reason":"silent"}'
    )
    assert Gap("x", "AB", at, NOW, "trade", "found", "1", "4", None, None, "lost") == said(
        f'{{"type":"gap",{head},"channel":"trade","state":"found","from_id":1,"to_id":"4","reason":"lost"}}'
    )


def test_a_time_in_milliseconds_in_our_own_form_is_not_taken_for_nanoseconds() -> None:
    text = encode(trade()).replace(str(trade().ts_event).encode(), b"1700000000123")

    assert 1_700_000_000_123_000_000 == read_event(text, NOW).ts_event


def test_digits_that_no_float_holds_survive() -> None:
    price = "123456789012345678.123456789012345678"

    assert price == said(f'{{"provider":"x","symbol":"AB","price":{price},"size":1}}').price


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "json"),
        ("[]", "json"),
        ('{"type":"trade"', "json"),
        ('{"type":"order","provider":"x","symbol":"AB","price":1,"size":1}', "type"),
        ('{"provider":"x","symbol":"AB"}', "type"),
        ('{"type":"trade","symbol":"AB","price":1,"size":1}', "missing"),
        ('{"type":"trade","provider":"x","symbol":"AB","size":1}', "missing"),
        ('{"type":"trade","provider":"x","symbol":"AB","price":"NaN","size":1}', "number"),
        ('{"type":"trade","provider":"x","symbol":"AB","price":"1,000","size":1}', "number"),
        ('{"type":"trade","provider":"x","symbol":"AB","price":1,"size":1,"ts":"yesterday"}', "time"),
        ('{"type":"trade","provider":"x","symbol":"AB","price":0,"size":1}', "impossible"),
        ('{"type":"trade","provider":"x","symbol":"AB","price":1,"size":1,"ts":9999999999}', "impossible"),
        ('{"type":"trade","provider":"x y!","symbol":"AB","price":1,"size":1}', "value"),
        ('{"type":"status","provider":"x","state":"odd"}', "value"),
    ],
)
def test_what_cannot_be_understood_says_why(text: str, reason: str) -> None:
    with pytest.raises(Malformed) as found:
        said(text)

    assert reason == found.value.reason


def test_an_id_that_is_too_long_is_refused_whole_and_never_cut() -> None:
    long = "7" * 5_000
    for event in (trade(trade_id=long), gap(3, 4, from_id=long), gap(3, 4, to_id=long)):
        with pytest.raises(Malformed, match="5,000 letters") as found:
            read_event(encode(event), NOW)

        assert found.value.reason == "value"


def test_malformed_messages_are_counted_and_the_first_ones_are_shown() -> None:
    metrics = Metrics()
    reader = TolerantReader(SystemClock(), metrics)
    with capture_logs() as lines:
        read = [reader.read(b"{", "md.events.trade.X") for _ in range(SHOWN_MAX + 5)]

    assert {None} == set(read)
    assert reader.malformed == {"json": SHOWN_MAX + 5}
    assert len(lines) == SHOWN_MAX
    assert b'senpai_events_dropped_total{reason="malformed_json",type="unknown"} 8.0' in metrics.text()


OTHERS = [
    b'{"exchange":"Kraken","pair":"btc/usd","price":1.50,"qty":"2e-3","timestamp":1700000000.25,"raw_json":{"a":[1]}}',
    b'{"kind":"bbo","source":"x","product_id":"A-B","bid":1,"ask":2.0,"bidSize":"3","time":"2024-11-14T17:30:00.123Z"}',
    b'{"type":"depth","venue":"x","pair":"AB","bids":[["1",2]],"asks":[{"price":3,"qty":4}],"u":7}',
    b'{"type":"bar","venue":"x","pair":"AB","tf":"5m","open":1,"high":2,"low":1,"close":1,"vol":3,"start":1700000000}',
]


def stands(data: bytes) -> None:
    """An event that can be stored, or Malformed."""
    try:
        event = read_event(data, NOW)
    except Malformed:
        return

    assert impossible(event) is None
    assert len(event.symbol) <= 40
    assert event == msgspec.json.decode(encode(event), type=type(event))
    if isinstance(event, Trade):
        assert Decimal(event.price) > 0


@pytest.mark.parametrize("seed", [*map(encode, SAMPLES), *OTHERS], ids=str)
def test_each_value_may_be_anything(seed: bytes) -> None:
    for changed in all_of(seed):
        stands(changed)


def test_changes_upon_changes_are_events_or_malformed() -> None:
    dice = random.Random(7)
    seeds = [*map(encode, SAMPLES), *OTHERS]
    for _ in range(3000):
        data = dice.choice(seeds)
        for _ in range(dice.randint(1, 4)):
            data = one_of(data, dice)
        stands(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed(data: bytes) -> None:
    stands(data)
