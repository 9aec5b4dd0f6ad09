import json
from collections.abc import Sequence

import msgspec
import pytest

from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.wire import decode, encode
from marketd.venues import VENUES
from marketd.venues.feed import FeedConfig
from marketd.venues.notices import Notice, Overlap
from marketd.venues.raw import keep_raw
from marketd.venues.replay import Replay
from marketd.venues.venue import Answer, Line, Span, Venue
from tests.venues.frames import TS_RECV, Session, sessions

each_session = pytest.mark.parametrize("session", sessions(), ids=str)
SPAN = Span(None, None, None, None)

# The body of a REST answer, and the texts of its trades as events come out, oldest first.
BODIES = {
    "binance": (
        '[{"id":71,"price":"0.10","qty":"5","quoteQty":"0.5","time":1700000000001,"isBuyerMaker":true,"isBestMatch":true},\n'
        ' {"id": 72, "price":"0.11", "qty":"6", "time":1700000000002, "isBuyerMaker":false}]',
        [
            '{"id":71,"price":"0.10","qty":"5","quoteQty":"0.5","time":1700000000001,"isBuyerMaker":true,"isBestMatch":true}',
            '{"id": 72, "price":"0.11", "qty":"6", "time":1700000000002, "isBuyerMaker":false}',
        ],
    ),
    "bybit": (
        '{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":['
        '{"execId":"2200000000002","symbol":"BTCUSDT","price":"1.2","size":"3","side":"Buy","time":"1700000000002"},'
        '{"execId":"2200000000001","symbol":"BTCUSDT","price":"1.1","size":"4","side":"Sell","time":"1700000000001"}]}}',
        [
            '{"execId":"2200000000001","symbol":"BTCUSDT","price":"1.1","size":"4","side":"Sell","time":"1700000000001"}',
            '{"execId":"2200000000002","symbol":"BTCUSDT","price":"1.2","size":"3","side":"Buy","time":"1700000000002"}',
        ],
    ),
    "coinbase": (
        '[{"trade_id":8,"side":"sell","size":"0.50","price":"9.10","time":"2026-01-01T00:00:02.5Z"},'
        '{"trade_id":7,"side":"buy","size":"0.40","price":"9.00","time":"2026-01-01T00:00:01Z"}]',
        [
            '{"trade_id":7,"side":"buy","size":"0.40","price":"9.00","time":"2026-01-01T00:00:01Z"}',
            '{"trade_id":8,"side":"sell","size":"0.50","price":"9.10","time":"2026-01-01T00:00:02.5Z"}',
        ],
    ),
    "bitfinex": (
        "[[42,1700000000002,-0.10,37000.50],[41,1700000000001,1e-2,37000]]",
        ["[41,1700000000001,1e-2,37000]", "[42,1700000000002,-0.10,37000.50]"],
    ),
    "kraken": (
        '{"error":[],"result":{"XXBTZUSD":[["37000.10","0.50",1700000001.1234567,"b","l","",11],'
        '["37000.20","0.60",1700000002.5,"s","m","",12]],"last":"1700000002500000000"}}',
        ['["37000.10","0.50",1700000001.1234567,"b","l","",11]', '["37000.20","0.60",1700000002.5,"s","m","",12]'],
    ),
    "alpaca": (
        '{"trades":{"BTCUSDT":[{"t":"2026-03-02T14:30:00.000000001Z","x":"V","p":10.50,"s":100,"c":["@"],"i":9,"z":"A"},'
        '{"t":"2026-03-02T14:30:01Z","x":"V","p":10.51,"s":1,"c":["@"],"i":10,"z":"A"}]},"next_page_token":null}',
        [
            '{"t":"2026-03-02T14:30:00.000000001Z","x":"V","p":10.50,"s":100,"c":["@"],"i":9,"z":"A"}',
            '{"t":"2026-03-02T14:30:01Z","x":"V","p":10.51,"s":1,"c":["@"],"i":10,"z":"A"}',
        ],
    ),
}
BODIES["binance_us"] = BODIES["binance"]


@each_session
def test_each_trade_of_a_stream_has_its_own_text_and_all_else_is_as_without(session: Session) -> None:
    plain, keeping = session.open_line(), raw_line(session)
    for frame in session.frames:
        as_ever, kept = read(plain, frame), read(keeping, frame)

        assert without_raw(as_ever) == without_raw(kept)
        for trade in trades_of(kept):
            assert isinstance(trade.raw, str)
            assert trade.raw.encode() in frame
            assert trade.trade_id.rpartition("-")[2] in trade.raw
            assert json.loads(trade.raw)


def test_the_wrapper_of_combined_streams_is_left_out() -> None:
    trade = '{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":5,"p":"0.10","q":"1.00","T":1700000000122,"m":true,"M":true}'
    frame = f'{{"stream":"btcusdt@trade","data":{trade}}}'.encode()

    (event,) = keep_raw(VENUES["binance"]({})).open_line(Instruments()).read(frame, TS_RECV)

    assert isinstance(event, Trade)
    assert trade == event.raw


def test_two_symbols_of_one_frame_with_the_same_number_keep_their_own() -> None:
    listed = Instruments(Instrument("kraken", f"{base}USD", f"{base}/USD", base, "USD") for base in ("BTC", "ETH"))
    rows = [
        f'{{"symbol":"{base}/USD","side":"buy","price":1.50,"qty":2.0,"ord_type":"limit","trade_id":7,'
        '"timestamp":"2026-01-01T00:00:00.000001Z"}'
        for base in ("BTC", "ETH")
    ]  # fmt: skip
    frame = f'{{"channel":"trade","type":"update","data":[{",".join(rows)}]}}'.encode()

    told = keep_raw(VENUES["kraken"]({})).open_line(listed).read(frame, TS_RECV)

    assert rows == [trade.raw for trade in trades_of(told)]


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_trade_fetched_over_rest_has_the_text_of_that_answer(name: str) -> None:
    body, expected = BODIES[name]
    instrument = Instrument(name, "BTCUSDT", "BTCUSDT", "BTC", "USDT")

    page = keep_raw(VENUES[name]({})).read_trades(Answer(200, {}, body.encode()), instrument, SPAN, TS_RECV)

    assert expected == [trade.raw for trade in page.trades]


def test_an_outside_venue_that_does_not_say_where_its_trades_stand_is_left_as_it_is() -> None:
    class Outside:
        name = "outside"

    venue: Venue = Outside()  # type: ignore[assignment]

    assert keep_raw(venue) is venue


def test_it_is_on_the_wire_only_where_it_is_kept_and_comes_back_unchanged() -> None:
    trade = Trade("binance", "BTCUSDT", 1, 2, "0.10", "1", "buy", "5")
    kept = msgspec.structs.replace(trade, raw='{"p": "0.10", "note":"\\u00e9 \\" é"}')

    assert b"raw" not in encode(trade)
    assert kept == decode(encode(kept))


def test_a_replay_keeps_it_where_asked() -> None:
    said: list[Event] = []
    replay = Replay(VENUES["binance"]({}), FeedConfig(keep_raw=True), said.extend, Metrics())
    trade = '{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":5,"p":"0.10","q":"1.00","T":1700000000122,"m":true,"M":true}'
    replay.frame(1, TS_RECV, f'{{"stream":"btcusdt@trade","data":{trade}}}'.encode())
    replay.end()

    assert [trade] == [event.raw for event in said if isinstance(event, Trade)]


def raw_line(session: Session) -> Line:
    line = keep_raw(VENUES[session.venue]({})).open_line(session.instruments)
    for wanted in session.asked:
        line.subscribe(wanted)
    return line


def read(line: Line, frame: bytes) -> Sequence[Event | Notice]:
    try:
        return line.read(frame, TS_RECV)
    except Exception as error:
        return [Notice(), error.__class__.__name__]  # type: ignore[list-item]


def trades_of(said: Sequence[Event | Notice]) -> list[Trade]:
    found: list[Trade] = []
    for one in said:
        found += [one] if isinstance(one, Trade) else one.trades if isinstance(one, Overlap) else []
    return found


def without_raw(said: Sequence[Event | Notice]) -> list[Event | Notice]:
    bare: list[Event | Notice] = []
    for one in said:
        if isinstance(one, Trade):
            one = msgspec.structs.replace(one, raw=msgspec.UNSET)
        elif isinstance(one, Overlap):
            one = Overlap(one.symbol, [msgspec.structs.replace(trade, raw=msgspec.UNSET) for trade in one.trades])
        bare.append(one)
    return bare
