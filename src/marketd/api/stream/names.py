"""What a client's words mean here: which venue, symbol and timeframe, or which key is wrong and what it may be."""

import re
from collections.abc import Mapping, Sequence

from marketd.api.state import SubscriptionRow
from marketd.api.stream.channel import Key
from marketd.api.stream.wire import Asked, Mistake
from marketd.api.views import FeedsView, Views
from marketd.model.instruments import neutral
from marketd.model.timeframes import timeframe

KNOWN_S = 1.0  # what is collected is looked up once in so long, however many ask
SHOWN = 50  # of the names that are allowed
VENUE = re.compile(r"[a-z0-9_]{1,40}")


class CollectedNames:
    """Names of what the feeds of this process collect; without feeds (events come from elsewhere) any name will do."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._looked_s = float("-inf")
        self._venues: Mapping[str, frozenset[str]] = {}
        self._rows: dict[tuple[str, str], list[SubscriptionRow]] = {}

    def key_of(self, asked: Asked, field: str) -> Key:
        feeds = self._views.feeds
        if feeds is not None:
            self._look(feeds)
        if asked.type == "candle" and asked.timeframe is None:
            raise Mistake("timeframe is required of candles", f"{field}.timeframe", "as 1m")
        if asked.type != "candle" and asked.timeframe is not None:
            raise Mistake(f"a timeframe is no part of {asked.type}", f"{field}.timeframe", "candle only")
        if asked.type != "status" and asked.symbol is None:
            raise Mistake("symbol is required", f"{field}.symbol", "as BTCUSDT")
        symbol = "" if asked.symbol is None else self._symbol(asked.symbol, f"{field}.symbol")
        venue = self._venue(asked.provider, symbol, feeds, f"{field}.provider")
        key = Key(asked.type, venue, symbol, self._timeframe(asked.timeframe, f"{field}.timeframe"))
        if feeds is not None:
            self._check(key, field)
        return key

    def _symbol(self, text: str, field: str) -> str:
        if text == "__system__":
            return text
        try:
            return neutral(text)
        except ValueError as error:
            raise Mistake(str(error), field, "as BTCUSDT") from None

    def _timeframe(self, text: str | None, field: str) -> str:
        if text is None:
            return ""
        try:
            return timeframe(text).name
        except ValueError:
            raise Mistake(f"{text} is no timeframe", field, "a count and one of s, m, h, d, w (1m, 5m, 1h, 1d), or 1M") from None

    def _venue(self, given: str | None, symbol: str, feeds: FeedsView | None, field: str) -> str:
        if given is not None:
            venue = given.lower()
            if not VENUE.fullmatch(venue) or (feeds is not None and venue not in self._venues):
                raise Mistake(f"{given} is no venue here", field, sorted(self._venues) or "the name of a venue")
            return venue
        if feeds is None or not symbol:
            raise Mistake("provider is required here", field, sorted(self._venues) or "the name of a venue")
        found = next((one for one in feeds.order(symbol) if symbol in self._venues.get(one, ())), None)
        if found is None:
            raise Mistake(f"nothing is collected of {symbol}", field.replace("provider", "symbol"), self._all_symbols())
        return found

    def _check(self, key: Key, field: str) -> None:
        """Against what is collected, as far as that is known yet."""
        if not key.symbol or key.symbol == "__system__":
            return
        if key.symbol not in self._venues[key.venue]:
            allowed = sorted(self._venues[key.venue])[:SHOWN]
            raise Mistake(f"{key.symbol} is not collected from {key.venue}", f"{field}.symbol", allowed)
        rows = self._rows.get((key.venue, key.symbol), [])
        channels = sorted({row.channel for row in rows})
        if key.type == "status" or not channels:
            return
        if key.type not in channels:
            raise Mistake(f"{key.type} is not collected of {key.venue} {key.symbol}", f"{field}.type", [*channels, "status"])
        timeframes = sorted({row.timeframe for row in rows if row.channel == "candle" and row.timeframe})
        if key.type == "candle" and timeframes and key.timeframe not in timeframes:
            words = f"candles of {key.timeframe} are not collected of {key.venue} {key.symbol}"
            raise Mistake(words, f"{field}.timeframe", timeframes)

    def _all_symbols(self) -> Sequence[str]:
        return sorted({symbol for symbols in self._venues.values() for symbol in symbols})[:SHOWN]

    def _look(self, feeds: FeedsView) -> None:
        now_s = self._views.clock.monotonic()
        if now_s - self._looked_s < KNOWN_S:
            return
        self._looked_s = now_s
        self._venues = {venue: frozenset(symbols) for venue, symbols in feeds.configured().items()}
        self._rows = {}
        for row in feeds.subscriptions():
            if row.state not in ("unlisted", "refused"):
                self._rows.setdefault((row.provider, row.symbol), []).append(row)
