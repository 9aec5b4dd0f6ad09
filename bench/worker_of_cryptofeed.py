"""Runs inside cryptofeed's own environment: feeds frames to its message handlers and says how long they took."""

import asyncio
import json
import sys
import time
from collections import defaultdict

from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance, Bybit
from cryptofeed.symbols import Symbol, Symbols
from cryptofeed.types import OrderBook

LISTED = {"binance": (Binance, "BTCUSDT"), "bybit": (Bybit, "BTCUSDT")}


class Connection:
    uuid = "bench"
    address = "wss://stream.bybit.com/v5/public/spot"


async def nothing(*_args, **_named):
    pass


def open_feed(venue):
    kind, theirs = LISTED[venue]
    symbol = Symbol("BTC", "USDT" if theirs.endswith("USDT") else "USD")
    Symbols.set(kind.id, {symbol.normalized: theirs}, defaultdict(dict))
    feed = kind(
        symbols=[symbol.normalized],
        channels=[TRADES, TICKER, L2_BOOK],
        callbacks={TRADES: nothing, TICKER: nothing, L2_BOOK: nothing},
    )
    book = OrderBook(kind.id, symbol.normalized)
    feed._l2_book = {symbol.normalized: book}
    if hasattr(feed, "_check_update_id"):
        feed._check_update_id = lambda *_args: False
        feed.last_update_id = defaultdict(int)
    feed.raw_data_callback = None
    if kind is Bybit:  # it keeps spot symbols under a name of their own
        feed.exchange_symbol_to_std_symbol = lambda _theirs: symbol.normalized
    return feed


async def take(feed, frames):
    handle, connection = feed.message_handler, Connection()
    started = time.perf_counter()
    for frame in frames:
        await handle(frame, connection, 1.0)
    return time.perf_counter() - started


def main():
    feeds, loaded = {}, {}
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if "load" in message:
                feeds[message["load"]] = open_feed(message["venue"])
                loaded[message["load"]] = message["frames"]
                answer = {"loaded": len(message["frames"])}
            else:
                name = message["run"]
                answer = {"seconds": loop.run_until_complete(take(feeds[name], loaded[name]))}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


main()
