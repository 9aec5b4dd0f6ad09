"""What happens now: trades and quotes of a symbol as they come, and what is missing after a break.

python examples/listen.py http://127.0.0.1:8100 BTCUSDT 100
"""

import asyncio
import sys
from contextlib import aclosing

from marketd.client import Broken, Channel, ClientError, Connected, MarketDataClient, Missed, Streamed


async def main(base_url: str, symbol: str, count: int) -> None:
    channels = [Channel("trade", symbol), Channel("quote", symbol, max_hz=2)]
    async with MarketDataClient(base_url) as client, aclosing(client.stream(*channels)) as stream:
        async for message in stream:
            match message:
                case Streamed(event, pos, is_snapshot):
                    print("before" if is_snapshot else "live", pos, event)
                    count -= not is_snapshot
                case Missed(channel, after, first, reason, filled):
                    print("missed", channel, after, first, reason, f"{filled} trades came from the store")
                case Connected(epoch, is_again):
                    print("connected", "again" if is_again else "", epoch)
                case Broken(reason, retry_s):
                    print("broken", reason, f"again in {retry_s:.1f} s")
            if count <= 0:
                return


if __name__ == "__main__":
    words = sys.argv[1:] or ["http://127.0.0.1:8100", "BTCUSDT"]
    if not 2 <= len(words) <= 3 or not all(one.isdecimal() for one in words[2:]):
        sys.exit("usage: python examples/listen.py [ADDRESS SYMBOL [COUNT]], as http://127.0.0.1:8100 BTCUSDT 100")
    try:
        asyncio.run(main(words[0], words[1], int(words[2]) if len(words) == 3 else sys.maxsize))
    except ClientError as error:
        sys.exit(f"listen: {error}")
    except KeyboardInterrupt:
        pass
