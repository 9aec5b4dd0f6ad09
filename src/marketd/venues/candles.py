"""A venue's candles over REST: one page asked, read, vetted. Who asks decides what the answer means."""

import structlog
from msgspec.structs import replace

from marketd.clock import Clock
from marketd.errors import BadFrame, Disconnected
from marketd.metrics import Metrics
from marketd.model.events import Candle
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe
from marketd.model.vet import impossible
from marketd.net.governor import Priority
from marketd.net.quarantine import Quarantine
from marketd.venues.bulk import BulkFile, Damaged, read_bulk
from marketd.venues.rest import Rest
from marketd.venues.venue import Answer

LIST_AGE_S = 3600.0
OK, NOT_THERE = 200, 404
PARTS_MAX = 100  # of one page, where the venue cuts it short by itself
log = structlog.get_logger("candles")


class CandleDesk:
    """Asks one venue for candles, through the governor that it shares with everything else that asks there."""

    def __init__(
        self, rest: Rest, clock: Clock, metrics: Metrics, quarantine: Quarantine | None = None, bulk_url: str | None = None
    ) -> None:
        """`bulk_url`: where the venue's public archive is, if it is to be used."""
        self.venue = rest.venue
        self._bulk_url, self._bulk_path = bulk_url, getattr(rest.venue, "bulk_path", None)
        self._rest, self._clock, self._metrics, self._quarantine = rest, clock, metrics, quarantine
        self._instruments = Instruments()
        self._listed_s: float | None = None

    async def instrument(self, symbol: str) -> Instrument | None:
        """How the venue spells our symbol; None if it does not list it. Raises Refused, Disconnected, BadFrame."""
        return (await self.instruments()).get(symbol)

    async def instruments(self) -> Instruments:
        """The venue's list, at most an hour old."""
        if self._listed_s is None or self._clock.monotonic() - self._listed_s > LIST_AGE_S:
            answer = await self._rest.ask(self.venue.instruments_request(), Priority.AUDIT)
            self._instruments.update(self.venue.read_instruments(answer))
            self._listed_s = self._clock.monotonic()
        return self._instruments

    @property
    def has_bulk(self) -> bool:
        """Whether there is an archive of files to be used."""
        return self._bulk_url is not None and self._bulk_path is not None

    async def bulk(self, file: BulkFile, instrument: Instrument, timeframe: Timeframe) -> list[Candle]:
        """What a file of the archive has, oldest first; nothing if it is not there. Raises Disconnected, and Damaged for a file
        that is not proved: of that no row is used, and it is kept note of."""
        path = file.path(self._bulk_path or "", instrument, timeframe)
        url, name = f"{self._bulk_url}/{path}", path.rpartition("/")[2]
        status, body = await self._rest.file(url)
        said, checksum = await self._rest.file(f"{url}.CHECKSUM") if status == OK else (status, b"")
        if NOT_THERE in (status, said):
            return []
        if (status, said) != (OK, OK):
            raise Disconnected(f"{url}: the answer's status is {status if status != OK else said}")
        try:
            return read_bulk(file, name, body, checksum, instrument, timeframe, self._clock.now_ns())
        except Damaged as error:
            why = f"{name}: {error}"
            self._metrics.events_quarantined.labels(self.venue.name, "bulk file").inc()
            log.warning("feed.quarantined", venue=self.venue.name, symbol=instrument.symbol, reason=why)
            if self._quarantine is not None:
                self._quarantine.keep(self._clock.now_ns(), self.venue.name, instrument.symbol, why, url.encode())
            raise

    async def ask(
        self, instrument: Instrument, timeframe: Timeframe, span: Interval, priority: Priority = Priority.BACKFILL
    ) -> list[Candle]:
        """What the venue has in `span` (open times, ns; at most `candle_page` of them), oldest first. Impossible rows are kept
        aside and counted, so they show as a hole. Raises Refused, Disconnected, BadFrame."""
        asked = self.venue.candles_request(instrument, timeframe, span)
        good: list[Candle] = []
        for _ in range(PARTS_MAX):
            answer = await self._rest.ask(asked, priority)
            for candle in self.venue.read_candles(answer, instrument, timeframe, answer.ts_recv):
                why = impossible(candle)
                if why is None:
                    good.append(candle)
                else:
                    self._set_aside(candle, why, answer)
            more = self.venue.more_candles(answer, asked)
            if more is None:
                # The newest row of a part proves nothing about itself, the next part does.
                return [one if one.closed else replace(one, closed=True) for one in good[:-1]] + good[-1:]
            asked = more
        raise BadFrame(self.venue.name, answer.body, f"a page of candles came in more than {PARTS_MAX} parts")

    def _set_aside(self, candle: Candle, why: str, answer: Answer) -> None:
        self._metrics.events_quarantined.labels(self.venue.name, why).inc()
        log.warning("feed.quarantined", venue=self.venue.name, symbol=candle.symbol, reason=why, open_time=candle.open_time)
        if self._quarantine is not None:
            self._quarantine.keep(answer.ts_recv, self.venue.name, candle.symbol, why, answer.body[:4096])
