"""The scanner as a service: all coins of the candle cache by one read, scanned and ranked, published and kept for the API."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from marketd.analysis.closed import NotClosed, of_cache
from marketd.analysis.listening import Listening, Word, kind_of
from marketd.analysis.scan import Scan, rank, scan
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.updates import Update
from marketd.clock import Clock
from marketd.errors import DeliveryError, place_of, words_of
from marketd.metrics import Metrics
from marketd.model.cached import before_key, decode_price, ohlcv_key, price_key
from marketd.model.foreign import reader_of
from marketd.model.series import CandleSeries
from marketd.model.times import iso_of_ns
from marketd.stores.cache import Desk, Publish, Write

CHANNEL = "market:scanner"  # and key
LIFE = 2.5  # times the cadence that a ranking lives for in the cache
ROLE = "scanner"
log = structlog.get_logger("scanner")


class Row(msgspec.Struct, frozen=True):
    """One coin."""

    rank: int | None  # 1 is the highest score; None without one
    symbol: str
    price: str | None  # the latest, with the venue's digits; None where the cache has none
    price_time: str | None  # when the venue was asked for it, ISO 8601
    scan: Scan


class Ranking(msgspec.Struct, frozen=True):
    """What is published, kept under the key and served."""

    timeframe: str
    timestamp: str | None  # when it was made, ISO 8601; None: nothing was scanned yet
    coins: tuple[Row, ...]  # by rank, those without one last


_encode = msgspec.json.Encoder().encode
_decode = reader_of(Ranking)


class Scanner:
    """Scans on `market:update:{timeframe}`, and whenever the way to the cache was broken."""

    def __init__(
        self, desk: Desk, config: AnalysisConfig, venue: str, every_s: float, coins: Sequence[str], clock: Clock, metrics: Metrics
    ) -> None:
        """`every_s`: how often the cache refreshes the timeframe; `coins`: scanned beside those that an update names."""
        self.timeframe = config.scanner_timeframe
        self.ranking = Ranking(self.timeframe, None, ())
        self._desk, self._config, self._venue, self._clock, self._metrics = desk, config, venue, clock, metrics
        self._life_s = LIFE * every_s
        self._faults: set[str] = set()  # said
        self.listening = Listening(ROLE, desk, {self.timeframe: every_s}, coins, clock, metrics, self.work)

    async def run(self) -> None:
        """Until cancelled."""
        await self._recall()
        await self.listening.run()

    @property
    def state(self) -> tuple[Word, str]:
        """For /health."""
        return self.listening.state

    async def work(self, update: Update) -> Mapping[str, str]:
        """Scan these coins and publish their ranking; those without values, and why. Raises DeliveryError."""
        keys = [key for coin in update.coins for key in self._keys(coin)]
        values = await self._desk.read(*keys)
        scans, prices = [], {}
        left_out: dict[str, str] = {}
        for at, coin in enumerate(update.coins):
            before, array, price = values[3 * at : 3 * at + 3]
            try:
                window = of_cache(CandleSeries(self._venue, coin, self.timeframe), before, array, self._clock.now_ns())
                found = scan(window, self._config)
            except Exception as error:
                left_out[coin] = self._failed(coin, error)
                continue
            scans.append(found)
            prices[coin] = self._price(price)
            if isinstance(window, NotClosed):
                left_out[coin] = window.reason
                self._metrics.analysis_skipped.labels(ROLE, kind_of(window, array)).inc()
            await asyncio.sleep(0)  # sockets have their turn between two coins
        coins = tuple(Row(one.rank, one.scan.symbol, *prices[one.scan.symbol], one.scan) for one in rank(scans))
        ranking = Ranking(self.timeframe, iso_of_ns(self._clock.now_ns()), coins)
        body = _encode(ranking)
        await self._desk.do(Write(CHANNEL, body, self._life_s), Publish(CHANNEL, body, summary=_summary(ranking)))
        self.ranking = ranking
        self._metrics.analysis_readings.labels(ROLE, self.timeframe).inc(len(scans))
        return left_out

    async def _recall(self) -> None:
        """What an earlier run published is shown until there is better, and its coins are scanned at once."""
        try:
            (body,) = await self._desk.read(CHANNEL)
            found = None if body is None else _decode(body)
        except DeliveryError:  # said by whoever connects; the coins come with the next update
            return
        except msgspec.DecodeError:
            self._metrics.analysis_skipped.labels(ROLE, "ranking").inc()
            return
        if found is not None and found.timeframe == self.timeframe:
            self.ranking = found
            self.listening.learn(self.timeframe, [row.symbol for row in found.coins])

    def _keys(self, coin: str) -> tuple[str, str, str]:
        return before_key(coin, self.timeframe), ohlcv_key(coin, self.timeframe), price_key(coin)

    def _price(self, value: bytes | None) -> tuple[str | None, str | None]:
        """The latest price and when it was."""
        if value is None:
            return None, None
        try:
            found = decode_price(value)
        except msgspec.DecodeError:
            self._metrics.analysis_skipped.labels(ROLE, "price").inc()
            return None, None
        return f"{found.price:f}", found.timestamp

    def _failed(self, coin: str, error: Exception) -> str:
        """Counted always, said once for each place of a mistake."""
        self._metrics.analysis_skipped.labels(ROLE, "fault").inc()
        if (place := place_of(error)) not in self._faults:
            self._faults.add(place)
            said = f"{place}: {words_of(error)}"
            log.error("analysis.fault", role=ROLE, symbol=coin, timeframe=self.timeframe, error=said)
        return f"a mistake of ours: {place}"


def _summary(ranking: Ranking) -> str:
    ranked = [row for row in ranking.coins if row.rank is not None]
    first = f", {ranked[0].symbol} first with {ranked[0].scan.score:.1f}" if ranked else ""
    return f"{ranking.timeframe}: {len(ranked)} of {len(ranking.coins)} coins ranked{first}"
