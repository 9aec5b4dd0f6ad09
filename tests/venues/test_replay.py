"""A venue's part of a capture through the live decoders, without a clock and without a wire."""

from marketd.metrics import Metrics
from marketd.model.events import BookL2, Event, Gap, Quote, Trade
from marketd.venues.binance import Binance
from marketd.venues.bybit import Bybit
from marketd.venues.feed import FeedConfig
from marketd.venues.replay import Replay, SpelledInstruments
from marketd.venues.venue import Answer, Venue

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
LISTED = b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[]}]}'


def trade_frame(number: int) -> bytes:
    ms = T0 // 1_000_000 + number
    return (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"10.5","q":"0.1","T":%d,"m":false}}'
        % (ms, number, ms)
    )


def rows(first: int, last: int) -> bytes:
    ms = T0 // 1_000_000
    each = b'{"id":%d,"price":"10.5","qty":"0.1","quoteQty":"1.05","time":%d,"isBuyerMaker":false,"isBestMatch":true}'
    return b"[%s]" % b",".join(each % (number, ms + number) for number in range(first, last + 1))


class Played:
    """A replay and what it published."""

    def __init__(self, venue: Venue | None = None) -> None:
        self.events: list[Event] = []
        self.replay = Replay(venue or Binance({}), FeedConfig(), self.events.extend, Metrics())

    def trades(self, *numbers: int, connection: int = 1) -> None:
        for number in numbers:
            self.replay.frame(connection, T0 + number * 1_000_000, trade_frame(number))

    def answer(self, url: str, body: bytes, ts: int = T0 + SECOND, status: int = 200) -> None:
        self.replay.answer(ts, url, Answer(status, {}, body, ts))

    @property
    def ids(self) -> list[int]:
        return [int(one.trade_id) for one in self.events if isinstance(one, Trade)]

    @property
    def gaps(self) -> list[tuple[str, str | None, str | None]]:
        return [(one.state, one.from_id, one.to_id) for one in self.events if isinstance(one, Gap)]


def test_frames_become_events_with_the_captures_time_and_without_a_list_of_instruments() -> None:
    played = Played()
    played.replay.opened(1, T0)
    played.trades(1, 2, 3)
    played.replay.end()

    assert played.ids == [1, 2, 3]
    assert [one.ts_recv for one in played.events if isinstance(one, Trade)] == [T0 + n * 1_000_000 for n in (1, 2, 3)]
    assert {one.symbol for one in played.events} <= {"BTCUSDT", "__system__"}


def test_a_frame_of_a_connection_that_was_never_opened_is_read_too() -> None:
    played = Played()
    played.trades(1, connection=7)

    assert played.ids == [1]


def test_a_repeat_is_dropped_whichever_connection_brings_it() -> None:
    played = Played()
    played.trades(1, 2, connection=1)
    played.trades(2, 3, connection=2)
    played.replay.end()

    assert played.ids == [1, 2, 3]


def test_a_gap_is_filled_with_the_answer_that_the_capture_holds() -> None:
    played = Played()
    played.answer("https://host/api/v3/exchangeInfo", LISTED, T0)
    played.trades(1, 2, 6, 7)
    played.answer("https://host/api/v3/historicalTrades?symbol=BTCUSDT&fromId=2&limit=1000", rows(2, 7), T0 + SECOND)
    played.replay.end()

    assert sorted(played.ids) == [1, 2, 3, 4, 5, 6, 7]
    assert [state for state, _, _ in played.gaps] == ["found", "filled"]
    assert {(first, last) for _, first, last in played.gaps} == {("3", "5")}
    assert played.replay.unused == 0


def test_a_gap_without_an_answer_is_said_to_be_missing_at_the_end() -> None:
    played = Played()
    played.trades(1, 2, 6)
    played.replay.end()

    assert played.ids == [1, 2, 6]
    assert [state for state, _, _ in played.gaps] == ["found", "unrecoverable"]
    assert "the capture holds no answer" in [one.cause for one in played.events if isinstance(one, Gap)]


def test_an_answer_that_nothing_asked_for_is_counted() -> None:
    played = Played()
    played.answer("https://host/api/v3/historicalTrades?symbol=BTCUSDT&fromId=2&limit=1000", rows(2, 7))
    played.answer("https://host/api/v3/klines?symbol=BTCUSDT", b"[]")
    played.answer("", b"{}")

    assert played.replay.unused == 3
    assert played.events == []


def test_a_body_that_cannot_be_read_changes_nothing() -> None:
    played = Played()
    played.answer("https://host/api/v3/exchangeInfo", b"<html>")
    played.trades(1)

    assert played.ids == [1]


def test_a_frame_that_cannot_be_read_is_counted_and_the_next_one_is_read() -> None:
    played = Played()
    played.trades(1)
    played.replay.frame(1, T0 + 1, b'{"stream":')
    played.trades(2)

    assert played.ids == [1, 2]
    assert played.replay.intake.frames_bad == 1


def test_a_book_begins_with_the_snapshot_of_the_capture_whatever_its_depth() -> None:
    played = Played()
    delta = (
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000100,"s":"BTCUSDT",'
        b'"U":%d,"u":%d,"b":[["9.0","%d"]],"a":[]}}'
    )
    played.replay.opened(1, T0)
    played.replay.frame(1, T0, delta % (101, 105, 1))
    body = b'{"lastUpdateId":103,"bids":[["9.0","5"]],"asks":[["11.0","1"]]}'
    played.answer("https://host/api/v3/depth?symbol=BTCUSDT&limit=50", body, T0 + SECOND)
    played.replay.frame(1, T0 + 2 * SECOND, delta % (106, 107, 3))
    played.replay.frame(1, T0 + 3 * SECOND, delta % (108, 108, 4))
    played.trades(5000)  # two seconds later the last view is out
    played.replay.end()
    books = [one for one in played.events if isinstance(one, BookL2)]

    assert books
    assert books[-1].bids == [("9.0", "4")]
    assert books[-1].asks == [("11.0", "1")]


def test_the_same_records_give_the_same_events() -> None:
    def run() -> list[Event]:
        played = Played()
        played.replay.opened(1, T0)
        played.trades(1, 2, 6, 4, 7)
        played.replay.closed(1, T0 + SECOND, "cut")
        played.replay.opened(2, T0 + 2 * SECOND)
        played.trades(9, 10, connection=2)
        played.replay.end()
        return played.events

    assert run() == run()


def test_another_venues_frames_need_no_list_either() -> None:
    played = Played(Bybit({}))
    frame = (
        b'{"topic":"orderbook.1.ETHUSDT","type":"snapshot","ts":1700000000000,'
        b'"data":{"s":"ETHUSDT","b":[["9","1"]],"a":[["10","2"]],"u":5,"seq":7}}'
    )
    played.replay.frame(1, T0, frame)

    assert [(one.symbol, one.bid, one.ask) for one in played.events if isinstance(one, Quote)] == [("ETHUSDT", "9", "10")]


def test_a_symbol_is_the_venues_spelling_joined() -> None:
    spelled = SpelledInstruments("any")

    assert [spelled.symbols[one] for one in ("BTC-USD", "tBTCUSD", "tBTC:USD", "XBT/USD", "ethusdt")] == [
        "BTCUSD", "BTCUSD", "BTCUSD", "XBTUSD", "ethusdt",
    ]  # fmt: skip
    assert spelled["BTC-USD"].venue_symbol == "BTC-USD"
    assert "anything" in spelled.symbols
