"""One venue as a library: its symbols, an hour of candles, then live updates until ten have come.

    python examples/candles.py binance BTCUSDT

`BINANCE_REST_URL` and `BINANCE_WS_URL`, as `marketd sim` prints them, lead it to a simulated venue.
"""

import asyncio
import os
import sys

from marketd import open_venue
from marketd.clock import SystemClock
from marketd.errors import MarketdError
from marketd.model.events import Candle
from marketd.model.timeframes import HOUR, MINUTE
from marketd.model.times import iso_of_ns


async def main(name: str, symbol: str) -> None:
    rest_url, ws_url = os.environ.get(f"{name.upper()}_REST_URL"), os.environ.get(f"{name.upper()}_WS_URL")
    async with open_venue(name, rest_url=rest_url, stream_url=ws_url) as venue:
        print(f"{name} lists {len(await venue.get_symbols())} symbols")

        end = SystemClock().now_ns() // MINUTE * MINUTE
        for candle in (await venue.fetch_candles(symbol, "1m", end - HOUR, end))[-3:]:
            print(iso_of_ns(candle.open_time), candle.open, candle.high, candle.low, candle.close, candle.volume)

        seen = asyncio.Queue[Candle]()
        async with asyncio.TaskGroup() as group:
            live = group.create_task(venue.subscribe_candles(symbol, "1m", seen.put_nowait))
            for _ in range(10):
                candle = await seen.get()
                print("live", iso_of_ns(candle.open_time), candle.close, "closed" if candle.closed else "forming")
            live.cancel()


if __name__ == "__main__":
    words = sys.argv[1:] or ["binance", "BTCUSDT"]
    if len(words) != 2:
        sys.exit("usage: python examples/candles.py [VENUE SYMBOL], as binance BTCUSDT")
    try:
        asyncio.run(main(*words))
    except* MarketdError as errors:
        sys.exit(f"candles: {errors.exceptions[0]}")
    except* KeyboardInterrupt:
        pass
