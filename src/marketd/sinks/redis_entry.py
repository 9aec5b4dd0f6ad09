"""A trade as an entry of `trades:<PAIR>`: eight fields, all text, packed as the server reads them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from marketd.model.events import Trade

STREAM = "trades:"
FIELDS = ("exchange", "pair", "price", "qty", "ts", "side", "trade_id", "raw_json")
NO_OBJECT = "{}"  # where nobody gave the venue's object: valid JSON that says nothing
SECONDS_MAX = 1024  # remembered
PREFIXES_MAX = 20_000


def stream_of(symbol: str) -> str:
    return f"{STREAM}{symbol}"


class Entries:
    """Packs trades. All that is the same for a venue's trades of one symbol is made once."""

    def __init__(self, maxlen: int) -> None:
        self._maxlen = maxlen
        self._prefixes: dict[tuple[str, str], str] = {}
        self._seconds: dict[int, str] = {}

    def pack(self, trades: Sequence[Trade]) -> bytes:
        """One XADD for each trade, in their order."""
        said: list[str] = []
        prefixes, seconds = self._prefixes, self._seconds
        for trade in trades:
            prefix = prefixes.get((trade.venue, trade.symbol)) or self._prefix(trade.venue, trade.symbol)
            price, size, number, ts_event, raw = trade.price, trade.size, trade.trade_id, trade.ts_event, trade.raw
            if ts_event is None:
                ts = "$0\r\n\r\n"
            else:
                second, ns = divmod(ts_event, 1_000_000_000)
                ts = f"$26\r\n{seconds.get(second) or self._second(second)}{ns // 1000:06d}\r\n"
            if raw.__class__ is not str:
                raw = NO_OBJECT
            raw_bytes = len(raw) if raw.isascii() else len(raw.encode())
            number_bytes = len(number) if number.isascii() else len(number.encode())
            said.append(
                f"{prefix}${len(price)}\r\n{price}\r\n$3\r\nqty\r\n${len(size)}\r\n{size}\r\n$2\r\nts\r\n{ts}"
                f"{_SIDES[trade.side]}${number_bytes}\r\n{number}\r\n$8\r\nraw_json\r\n${raw_bytes}\r\n{raw}\r\n"
            )
        return "".join(said).encode()

    def _prefix(self, venue: str, symbol: str) -> str:
        """From the command's name to where the price stands."""
        words = ("XADD", stream_of(symbol), "MAXLEN", "~", str(self._maxlen), "*", "exchange", venue, "pair", symbol, "price")
        if len(self._prefixes) >= PREFIXES_MAX:
            self._prefixes.clear()
        prefix = f"*{6 + 2 * len(FIELDS)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        self._prefixes[venue, symbol] = prefix
        return prefix

    def _second(self, second: int) -> str:
        """`2024-11-14T17:30:00.`; what is finer than a microsecond is cut off, never rounded up."""
        if len(self._seconds) >= SECONDS_MAX:
            self._seconds.clear()
        text = self._seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return text


_SIDES = {
    "buy": "$4\r\nside\r\n$3\r\nbuy\r\n$8\r\ntrade_id\r\n",
    "sell": "$4\r\nside\r\n$4\r\nsell\r\n$8\r\ntrade_id\r\n",
    None: "$4\r\nside\r\n$0\r\n\r\n$8\r\ntrade_id\r\n",  # the venue does not say
}
