"""What a running marketd has stored: its series, the last hour of one of them, its gaps, and a data frame.

python examples/ask.py http://127.0.0.1:8100 binance BTCUSDT
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from marketd.client import ClientError, LibraryMissing, MarketDataClient


async def main(base_url: str, exchange: str, symbol: str) -> None:
    end = datetime.now(UTC)
    start = end - timedelta(hours=1)
    async with MarketDataClient(base_url) as client:
        for one in (await client.status()).series:
            print(
                one.exchange, one.symbol, one.timeframe, one.count, "candles,", one.gaps, "missing,", "live" if one.live else ""
            )

        candles = await client.get_candles(exchange, symbol, "1m", start, end)
        print(len(candles), "candles in the last hour; volume", sum(candle.volume for candle in candles))

        async for candle in client.iter_candles(exchange, symbol, "1m", end - timedelta(minutes=5), end):
            print(candle.open_time, candle.open, candle.high, candle.low, candle.close)

        for gap in await client.gaps(exchange=exchange, open_only=True):
            print("gap", gap.gap_start, gap.gap_end, gap.state, gap.cause)

        try:
            print(await client.get_frame(exchange, symbol, "1m", start, end))
        except LibraryMissing as error:
            print(error)


if __name__ == "__main__":
    words = sys.argv[1:] or ["http://127.0.0.1:8100", "binance", "BTCUSDT"]
    if len(words) != 3:
        sys.exit("usage: python examples/ask.py [ADDRESS VENUE SYMBOL], as http://127.0.0.1:8100 binance BTCUSDT")
    try:
        asyncio.run(main(*words))
    except ClientError as error:
        sys.exit(f"ask: {error}")
    except KeyboardInterrupt:
        pass
