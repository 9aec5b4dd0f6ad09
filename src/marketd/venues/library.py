"""One venue as a library: no daemon, no stores, just its candles and symbols."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from marketd.clock import Clock, SystemClock
from marketd.errors import ConfigError
from marketd.metrics import Metrics
from marketd.model.events import Candle, Event
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import SECOND
from marketd.model.timeframes import timeframe as named
from marketd.net.governor import Governor, Priority
from marketd.net.http import Http
from marketd.venues import venue_named
from marketd.venues.feed import Feed, FeedConfig
from marketd.venues.rest import Rest
from marketd.venues.venue import Request, Wanted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
When = int | datetime  # ns since the epoch, or a datetime (naive means UTC)


class VenueClient:
    """`async with open_venue("binance") as venue: ...`"""

    def __init__(
        self, name: str, settings: Mapping[str, str], rest_url: str | None, stream_url: str | None, clock: Clock
    ) -> None:
        self.venue = venue_named(name, settings)
        self._clock, self._metrics, self._http = clock, Metrics(), Http()
        self._stream_url = stream_url or self.venue.stream_url
        governor = Governor(clock, self.venue.limits.rest)
        self._rest = Rest(self.venue, rest_url or self.venue.rest_url, self._http, governor, clock, self._metrics)
        self._instruments: Instruments | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def get_symbols(self) -> list[str]:
        """The venue's trading symbols, in our spelling, sorted. Raises Refused or Disconnected."""
        return sorted(one.symbol for one in await self.instruments() if one.is_trading)

    async def instruments(self) -> Instruments:
        """The venue's whole list, asked for once."""
        if self._instruments is None:
            answer = await self._rest.ask(self.venue.instruments_request(), Priority.LIVE)
            self._instruments = Instruments(self.venue.read_instruments(answer))
        return self._instruments

    async def fetch_candles(self, symbol: str, timeframe: str, start: When, end: When) -> list[Candle]:
        """Candles with start <= open_time < end, oldest first, page by page within the venue's limits; the last one may be
        forming (`closed` False). Raises ConfigError for a symbol or timeframe the venue does not have, Refused, Disconnected."""
        instrument, frame = await self._instrument(symbol), named(timeframe)
        self._check_timeframe(timeframe)
        at, stop = _ns(start), _ns(end)
        found: dict[int, Candle] = {}
        step = frame.step or 31 * 86_400 * SECOND
        while at < stop:
            until = min(stop, at + self.venue.candle_page * step)
            asked: Request | None = self.venue.candles_request(instrument, frame, Interval(at, until))
            while asked is not None:
                answer = await self._rest.ask(asked, Priority.BACKFILL)
                for candle in self.venue.read_candles(answer, instrument, frame, self._clock.now_ns()):
                    if at <= candle.open_time < until:
                        found[candle.open_time] = candle
                asked = self.venue.more_candles(answer, asked)
            at = until
        candles = [found[opened] for opened in sorted(found)]
        # An answer cannot show that its own last candle is closed; the first candle of the next page does.
        return [one if one.closed else replace(one, closed=True) for one in candles[:-1]] + candles[-1:]

    async def subscribe_candles(self, symbol: str, timeframe: str, callback: Callable[[Candle], None]) -> None:
        """Calls back with every update, forming (`closed` False) and closed, until cancelled; reconnects by itself."""
        await self._instrument(symbol)
        self._check_timeframe(timeframe)
        if "candle" not in self.venue.channels:
            raise ConfigError(f"{self.venue.name} streams no candles")

        def publish(events: Sequence[Event]) -> None:
            for event in events:
                if isinstance(event, Candle):
                    callback(event)

        feed = Feed(self.venue, FeedConfig(), self._rest, self._stream_url, publish, self._clock, self._metrics)
        feed.want([Wanted("candle", symbol, timeframe)])
        await feed.run()

    async def _instrument(self, symbol: str) -> Instrument:
        instrument = (await self.instruments()).get(symbol)
        if instrument is None:
            raise ConfigError(f"{self.venue.name} does not list {symbol!r}")
        return instrument

    def _check_timeframe(self, name: str) -> None:
        if name not in self.venue.timeframes:
            raise ConfigError(f"{self.venue.name} has no {name!r} candles; it has {', '.join(self.venue.timeframes)}")


def open_venue(
    name: str,
    settings: Mapping[str, str] | None = None,
    *,
    rest_url: str | None = None,
    stream_url: str | None = None,
    clock: Clock | None = None,
) -> VenueClient:
    """One venue, ours or from outside the package. `settings` holds its keys, where it needs any. Raises ConfigError."""
    return VenueClient(name, settings or {}, rest_url, stream_url, clock or SystemClock())


def _ns(when: When) -> int:
    if isinstance(when, int):
        return when
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1) * 1000
