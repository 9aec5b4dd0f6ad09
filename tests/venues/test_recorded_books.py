"""Books of recorded sessions: every one that came with a REST snapshot syncs and never crosses; every checksum holds."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from marketd.errors import BadFrame
from marketd.model.events import BookDelta, BookL2, BookSnapshot, Event, Gap, Level, Quote
from marketd.model.instruments import Instrument, Instruments
from marketd.venues import VENUES
from marketd.venues.bitfinex import Bitfinex
from marketd.venues.books import BookKeeper
from marketd.venues.bybit import Bybit
from marketd.venues.kraken import Kraken
from marketd.venues.notices import Checksum, Notice
from marketd.venues.venue import Answer, Line

BOOKS_OF_SESSION = {
    "binance/ws/session_20210404_btc_eth_dot.jsonl.gz": ("binance/rest/depth_session_20210404_btc_eth_dot.jsonl.gz", 3),
    "binance/ws/session_20210417_10sym.jsonl.gz": ("binance/rest/depth_session_20210417_10sym.jsonl.gz", 10),
    "binance/ws/session_20211012_4sym.jsonl.gz": ("binance/rest/depth_20211012_4sym.jsonl.gz", 4),
    "binance/ws/spot_btcusdt_20240808.jsonl.gz": (None, 1),  # the snapshot stands among the frames
    "binance_us/ws/session_20210405_10sym.jsonl.gz": ("binance_us/rest/depth_session_20210405_10sym.jsonl.gz", 10),
    "binance_us/ws/session_20210814_4sym.jsonl.gz": ("binance_us/rest/depth_session_20210814_4sym.jsonl.gz", 4),
    "binance_us/ws/session_20211012_crv_comp.jsonl.gz": ("binance_us/rest/depth_20211012_crv_comp.jsonl.gz", 2),
}


def records(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def read(line: Line, record: dict[str, str]) -> Sequence[Event | Notice]:
    """What a frame says; a recording may hold frames of kinds that came after it or went before."""
    try:
        # The recorded Bybit client asked for 200 levels; their frames differ from those of 50 in the topic alone.
        return line.read(record["frame"].replace("orderbook.200", "orderbook.50").encode(), int(record["ts"] or 0))
    except BadFrame:
        return ()


def test_the_recorded_books_with_a_rest_snapshot_are_34() -> None:
    assert 34 == sum(count for _, count in BOOKS_OF_SESSION.values())


@pytest.mark.recorded(*BOOKS_OF_SESSION)
@pytest.mark.parametrize("deltas", [True, False], ids=["each delta judged", "views only"])
def test_every_recorded_book_syncs_once_and_never_crosses(recording: Path, shared_data: Path, deltas: bool) -> None:
    name = str(recording.relative_to(shared_data))
    venue = VENUES[name.partition("/")[0]]()
    rest, count = BOOKS_OF_SESSION[name]
    line = venue.open_line(Instruments())
    keeper = BookKeeper(venue.name, venue.book_depth, by_rest=True, deltas=deltas)
    arrivals = [
        (int(one["ts"]), one["frame"] if one["k"] == "in" else "", one) for one in records(recording) if one["k"] != "open"
    ]
    snapshots = [] if rest is None else records(shared_data / rest)
    arrivals += [(int(one["ts"]), "", one) for one in snapshots]
    synced, out, quotes, checked = Counter[str](), list[Event](), dict[str, Quote](), 0
    for ts, frame, record in sorted(arrivals, key=lambda arrival: arrival[0]):
        if not frame:
            symbol = parse_qs(urlsplit(record["url"]).query)["symbol"][0] if "url" in record else "BTCUSDT"
            body = record.get("body") or record["frame"]
            instrument = Instrument(venue.name, symbol, symbol, "", "")
            came = keeper.on_snapshot(venue.read_snapshot(Answer(200, {}, body.encode()), instrument, ts))
            synced[symbol] += keeper.is_in_sync(symbol)
            out += came
            continue
        for event in read(line, record):
            if isinstance(event, BookDelta):
                out += keeper.on_delta(event)
            elif isinstance(event, Quote):
                quotes[event.symbol] = event
        out += keeper.due_views(ts)
        checked += sum(agrees(view, quotes) for view in out if isinstance(view, BookL2))
        assert [] == [event for event in out if isinstance(event, Gap)]
        out.clear()

    assert count == len(synced)
    assert {1} == set(synced.values())
    assert dict.fromkeys(synced, "in_sync") == {one.symbol: one.state for one in keeper.states()}
    assert {"old"} >= set(keeper.dropped)
    assert checked > 100 or not name.endswith("spot_btcusdt_20240808.jsonl.gz")


def agrees(view: BookL2, quotes: dict[str, Quote]) -> bool:
    """A quote of the very update that a view shows has the view's best prices; most quotes are of another one."""
    quote = quotes.get(view.symbol)
    if quote is None or quote.seq != view.seq:
        return False

    assert (view.bids[0][0], view.asks[0][0]) == (quote.bid, quote.ask)
    return True


def streamed(line: Line, keeper: BookKeeper, recording: Path) -> Iterator[Event]:
    for record in records(recording):
        if record["k"] != "in":
            continue
        for event in read(line, record):
            if isinstance(event, BookSnapshot):
                yield from keeper.on_snapshot(event)
            elif isinstance(event, BookDelta):
                yield from keeper.on_delta(event)
            elif isinstance(event, Checksum):
                yield from keeper.on_checksum(event, int(record["ts"] or 0))


@pytest.mark.recorded("bybit/ws/v5_spot_*.jsonl.gz")
def test_bybit_books_stay_in_sync_from_their_own_snapshots(recording: Path) -> None:
    listed = [Instrument("bybit", symbol, symbol, symbol[:3], symbol[3:]) for symbol in ("BTCUSDT", "ETHUSDT")]
    line, keeper = Bybit().open_line(Instruments(listed)), BookKeeper("bybit", 200, by_rest=False)
    events = list(streamed(line, keeper, recording))

    assert [] == [event for event in events if isinstance(event, Gap)]
    assert any(isinstance(event, BookDelta) for event in events)
    assert all(one.state == "in_sync" for one in keeper.states())


@pytest.mark.recorded("bitfinex/ws/session_20210417_21ch.jsonl.gz")
def test_bitfinex_books_stay_in_sync_and_uncrossed(recording: Path) -> None:
    pairs = ["BFTUSD", "IOTETH", "DOGUSD", "MNABTC", "ODEUSD", "SNGUSD"]
    listed = [Instrument("bitfinex", pair, f"t{pair}", pair[:3], pair[3:]) for pair in pairs]
    line, keeper = Bitfinex().open_line(Instruments(listed)), BookKeeper("bitfinex", 100, by_rest=False)
    events = list(streamed(line, keeper, recording))

    assert [] == [event for event in events if isinstance(event, Gap)]
    assert all(one.state == "in_sync" for one in keeper.states())


def checksum_by_the_book(bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """As Kraken's guide describes it, apart from the venue's file: ten best asks and bids in steps of 0.1 and 0.00000001."""
    text = ""
    for side in (asks, bids):
        for price, size in side[:10]:
            for number, digits in ((price, 1), (size, 8)):
                whole, _, fraction = number.partition(".")
                text += (whole + fraction.ljust(digits, "0")).lstrip("0")
    return zlib.crc32(text.encode())


@pytest.mark.recorded("kraken/ws_v2/book_session_pythonkrakensdk.jsonl.gz")
def test_every_recorded_checksum_of_a_book_cut_to_its_depth_holds(recording: Path) -> None:
    venue = Kraken()
    bitcoin = Instrument("kraken", "BTCUSD", "BTC/USD", "BTC", "USD", tick="0.1", lot="0.00000001")  # the session lacks it
    computed: list[int | None] = []

    def checks(symbol: str, bids: Sequence[Level], asks: Sequence[Level]) -> int | None:
        computed.append(venue.checksum(bids, asks, bitcoin))

        assert computed[-1] == checksum_by_the_book(bids, asks)
        return computed[-1]

    keeper = BookKeeper("kraken", 10, by_rest=False, checks=checks)  # the recorded client asked for ten levels
    line = venue.open_line(Instruments([bitcoin]))
    events = list(streamed(line, keeper, recording))

    assert 510 == len(computed)
    assert [] == [event for event in events if isinstance(event, Gap)]
    assert {"BTCUSD": "in_sync"} == {one.symbol: one.state for one in keeper.states()}
