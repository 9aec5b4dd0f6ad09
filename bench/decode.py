"""Decoding: each venue's frames against msgspec's own floor, and against cryptofeed where it can be built."""

import statistics
from collections.abc import Callable

from bench.floors import FLOORS
from bench.frames import frames
from bench.peer import Cryptofeed, open_cryptofeed
from bench.rounds import Row, absolute, at_most, faster, interleave, not_measured
from marketd.model.book import Book
from marketd.model.events import BookDelta
from marketd.model.instruments import Instrument, Instruments
from marketd.venues import VENUES
from marketd.venues.venue import Line

TRADE_LIKE_MAX, TRADE_LIKE_MEAN_MAX, DEPTH_MAX, BOOK_MAX, NUMBERS_MAX = 2.2, 1.9, 1.3, 2.5, 4.5
NUMBERS = {"bitfinex", "alpaca", "kraken"}  # send JSON numbers, which have to be kept exact
LISTED = {
    "binance": "BTCUSDT",
    "bybit": "BTCUSDT",
    "coinbase": "BTC-USD",
    "bitfinex": "tBTCUSD",
    "alpaca": "AAPL",
    "kraken": "BTC/USD",
}


def open_line(venue: str) -> Line:
    """A line with whatever the venue says before data."""
    theirs = LISTED[venue]
    symbol = theirs.removeprefix("t").replace("-", "").replace("/", "")
    instruments = Instruments([Instrument(venue, symbol, theirs, symbol[:3], symbol[3:], "0.01", "0.00000001")])
    line = VENUES[venue]({}).open_line(instruments)
    line.greet()
    if venue == "bitfinex":
        line.read(b'{"event":"info","version":2,"platform":{"status":1}}', 1)
        line.read(b'{"event":"subscribed","channel":"trades","chanId":19111,"symbol":"tBTCUSD","pair":"BTCUSD"}', 1)
    return line


def run() -> list[Row]:
    rows: list[Row] = []
    ratios: list[float] = []
    with open_cryptofeed() as peer:
        for (venue, kind), some in frames().items():
            if venue not in VENUES:
                continue
            path = f"{venue} {kind} frame -> events"
            sides = _sides(venue, kind, some, peer)
            took = interleave(sides, rounds=7)
            limit = DEPTH_MAX if kind == "depth" else NUMBERS_MAX if venue in NUMBERS else TRADE_LIKE_MAX
            rows.append(at_most(path, took["ours"], "floor", took["floor"], limit, f"{_us(took['ours'], some):.2f} us a frame"))
            if kind != "depth" and venue not in NUMBERS:
                ratios.append(statistics.median(took["ours"]) / statistics.median(took["floor"]))
            if "book" in took:
                rows.append(at_most(f"{venue} depth with maintained book", took["book"], "floor", took["floor"], BOOK_MAX))
            if peer is not None and "cryptofeed" in took:
                ours, times = ("book", 7.0) if "book" in took else ("ours", 3.0)
                rows.append(faster(path, took[ours], peer.version, took["cryptofeed"], times))
            elif (venue, kind) in (("binance", "trade"), ("bybit", "trade")):
                rows.append(not_measured(path, "cryptofeed", ">= 3x", "it could not be built here"))
    mean = statistics.mean(ratios)
    rows.append(
        absolute(
            "trade-like frames, mean over venues",
            f"{mean:.2f}x",
            f"<= {TRADE_LIKE_MEAN_MAX}x",
            reached=mean <= TRADE_LIKE_MEAN_MAX,
        )
    )
    return rows


def _sides(venue: str, kind: str, some: list[bytes], peer: Cryptofeed | None) -> dict[str, Callable[[], object]]:
    floor, line = FLOORS[venue, kind], open_line(venue)
    read = line.read
    told = [event for frame in some[:3] for event in read(frame, 1)]
    assert told, f"{venue} {kind}: the frames say nothing"

    def decode_floor() -> None:
        for frame in some:
            floor(frame)

    def decode_ours() -> None:
        for frame in some:
            read(frame, 1_722_900_000_000_000_000)

    sides: dict[str, Callable[[], object]] = {"ours": decode_ours, "floor": decode_floor}
    if kind == "depth":

        def keep_book() -> None:
            book = Book()
            for frame in some:
                for event in read(frame, 1):
                    if isinstance(event, BookDelta):
                        book.apply_delta(event.bids, event.asks, event.seq)

        sides["book"] = keep_book
    if peer is not None and peer.knows(venue, kind):
        sides["cryptofeed"] = peer.measured(venue, kind, some)
    return sides


def _us(took: list[float], some: list[bytes]) -> float:
    return statistics.median(took) / len(some) * 1e6
