"""Which pairs are collected, found by market capitalisation: asked for now and then, changed without a reconnect.

`Discovery` serves every venue of the config that names no symbols of its own. A failed refresh changes nothing: the last
list stays in force, that of an earlier run or the fallback pairs where there was none. Who changes a venue's symbols by
hand takes that venue out of its hands until the next start.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import Field, field_validator, model_validator

from marketd.clock import Clock
from marketd.errors import BadFrame, MarketdError, Refused, place_of
from marketd.metrics import Metrics
from marketd.model.instruments import Instrument, neutral
from marketd.model.times import iso_of_ns
from marketd.net.backoff import Backoff
from marketd.net.capture import Capture
from marketd.net.governor import Governor, Priority
from marketd.net.http import Http
from marketd.rooms import room
from marketd.secrets import Secret, header_word
from marketd.section import Section
from marketd.venues.coingecko import BASES, PAGE, Coin, CoinGecko, Plan
from marketd.venues.feeds import Feeds
from marketd.venues.rest import Asker
from marketd.venues.section import Words
from marketd.venues.selection import STABLE, Standing, candidates, choose, resume

FILE = "discovery.json"
ANSWER_BYTES_MAX = 4 * 1024 * 1024  # a page has some 250 kB
ANSWER_WITHIN_S = 15.0
RETRY_S = 30.0  # after a first failure at most, then longer up to the refresh time
LOOK_S = 1.0  # whether the list of a venue that was down has come
SAVED_AGE_S = 7 * 86_400  # an older list of an earlier run is not started with
NAMED_MAX = 10
log = structlog.get_logger("discovery")


class DiscoveryConfig(Section):
    """Which pairs to collect, by market capitalisation."""

    enabled: bool = Field(False, description="discover the pairs of each venue that names no symbols of its own")
    api_key: Secret | None = Field(None, description="key of the service; from the environment only")
    plan: Plan = Field("demo", description="the plan that the key belongs to")
    url: str | None = Field(None, description="base address instead of the service's own")
    limit: int = Field(200, ge=1, le=5000, description="pairs in all, fallback pairs included and first; of each venue")
    fallback_pairs: Words = Field(("BTCUSDT", "ETHUSDT", "SOLUSDT"), description="pairs that are always there")
    refresh_s: float = Field(3600.0, gt=0, description="time between two discoveries")
    quotes: Words = Field(
        (), description="quote currencies, the preferred first; default dollars, those first in which the venue lists the most"
    )
    exclude: Words = Field(STABLE, description="tickers that are left out: by default money itself")
    margin: float = Field(0.1, ge=0, le=1, description="share of the places around the edge of the list in which nothing moves")
    coins: int = Field(1000, ge=1, le=10_000, description="how deep the ranking is read where the list is not full before")

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, secret: Secret | None) -> Secret | None:
        return header_word(secret)

    @field_validator("fallback_pairs")
    @classmethod
    def _neutral(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(neutral(symbol) for symbol in symbols))

    @field_validator("quotes", "exclude")
    @classmethod
    def _upper(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word.upper() for word in words)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url and not _is_address(url):
            raise ValueError("expected an address as https://host/path, with http:// or https://")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _has_key(self) -> "DiscoveryConfig":
        if self.enabled and self.plan == "pro" and self.api_key is None:
            raise ValueError("plan pro needs a key: set COINGECKO_API_KEY, or COINGECKO_PLAN=demo")
        return self

    @property
    def base(self) -> str:
        return self.url or BASES[self.plan]

    def service(self) -> CoinGecko:
        return CoinGecko(self.plan, None if self.api_key is None else self.api_key.get_secret_value())

    def found(self, coins: list[Coin], listed: list[Instrument]) -> list[str]:
        """What a venue trades of these coins."""
        return candidates(coins, listed, self.quotes, self.exclude)

    def is_filled(self, coins: list[Coin], listed: list[Instrument]) -> bool:
        """Whether these coins fill a venue's list, the band below its end included."""
        return len(self.found(coins, listed)) > self.limit * (1 + self.margin)


class Discovery:
    """The list in force, and how it is doing."""

    def __init__(
        self, config: DiscoveryConfig, feeds: Feeds, asker: Asker, service: CoinGecko, path: Path, clock: Clock, metrics: Metrics
    ) -> None:
        self.config = config
        self.reason = ""  # why the last refresh failed; empty when it did not
        self.refreshed: int | None = None  # ns, when the list in force was made, perhaps by an earlier run
        self._feeds, self._asker, self._service, self._path = feeds, asker, service, path
        self._clock, self._metrics = clock, metrics
        self._coins: list[Coin] = []
        self._listed: dict[str, list[Instrument]] = {}  # by venue
        self._listed_s = 0.0  # when they were asked for
        self._running: dict[str, dict[str, Standing]] = {}  # by venue: the pairs in force
        self._set: dict[str, tuple[str, ...]] = {}  # as they were handed to the feeds
        saved = self._load()
        for name, its in feeds.configs.items():
            is_ours = its.backup_for is None and not its.symbols
            if is_ours and name in feeds.venues and not feeds.venues[name].dry:
                self._running[name] = resume(saved.get(name, {}), config.fallback_pairs, config.limit)
                self._hand_over(name)
        if not self._running:
            log.info("discovery.idle", reason="every venue has symbols of its own")

    @property
    def venues(self) -> list[str]:
        """Those whose pairs are chosen here."""
        return [name for name, symbols in self._set.items() if self._feeds.configs[name].symbols == symbols]

    @property
    def in_force(self) -> str:
        """In words."""
        count = sum(len(self._running[name]) for name in self.venues)
        if self.refreshed is None:
            return f"the fallback pairs alone ({count})"
        return f"{count} pairs, ranking of {iso_of_ns(self.refreshed)[:19]}Z"

    async def run(self) -> None:
        """Until cancelled."""
        if not self._running:
            return
        backoff = Backoff(min(RETRY_S, self.config.refresh_s), self.config.refresh_s)
        await self._until_listed()
        while True:
            try:
                await self._refresh()
                self.reason, delay_s = "", self.config.refresh_s
                backoff.reset()
                self._metrics.discoveries.labels("ok").inc()
            except MarketdError as error:
                delay_s = max(backoff.next_s(), self._asker.governor.paused_s)
                self._failed(str(error), "refused" if isinstance(error, Refused) else "failed", delay_s)
            except Exception as error:  # a mistake of ours costs this refresh, not the daemon
                delay_s = backoff.next_s()
                self._failed(f"a fault of ours: {place_of(error)}", "fault", delay_s)
            await self._wait(delay_s)

    async def _until_listed(self) -> None:
        """Until some venue has said what it lists: without that, a ranking is of no use."""
        while not any(self._feeds.feeds[name].loaded.is_set() for name in self._running):
            await self._clock.sleep(LOOK_S / 10)
        self._listed_s = self._clock.monotonic()
        for name in self._running:
            self._take_list(name)

    async def _wait(self, delay_s: float) -> None:
        """So long; a venue whose list comes meanwhile gets its pairs then."""
        until_s = self._clock.monotonic() + delay_s
        while (left_s := until_s - self._clock.monotonic()) > 0:
            waiting = [name for name in self._running if name not in self._listed]
            await self._clock.sleep(min(left_s, LOOK_S) if waiting else left_s)
            for name in waiting if self._coins else ():
                if self._take_list(name) and self._apply(name):
                    self._save()

    def _take_list(self, name: str) -> bool:
        """The list with which a feed began, if it has come."""
        feed = self._feeds.feeds[name]
        if feed.loaded.is_set() and len(feed.instruments):
            self._listed[name] = list(feed.instruments)
        return name in self._listed

    async def _refresh(self) -> None:
        """Raises MarketdError; nothing has changed then."""
        coins = await self._ranking()
        if self._clock.monotonic() - self._listed_s > self.config.refresh_s / 2:
            await self._list_again()
        if not any(self.config.found(coins, listed) for listed in self._listed.values()):
            raise BadFrame(self._service.name, b"", f"no venue lists any of the {len(coins)} coins of its ranking")
        self._coins, self.refreshed = coins, self._clock.now_ns()
        for name in self._running:
            if name in self._listed:
                self._apply(name)
        self._save()
        self._metrics.discovery_time.set(self.refreshed / 1e9)

    async def _list_again(self) -> None:
        """What the venues list now; where that fails, what they listed before."""
        self._listed_s = self._clock.monotonic()
        for name in [name for name in self.venues if name in self._listed]:
            try:
                self._listed[name] = await self._feeds.feeds[name].list_again()
            except MarketdError as error:
                log.info("discovery.list_kept", venue=name, reason=str(error))

    async def _ranking(self) -> list[Coin]:
        def is_enough(coins: list[Coin]) -> bool:
            lists = [self._listed.get(name) for name in self.venues]
            return all(listed is not None and self.config.is_filled(coins, listed) for listed in lists)

        return await read_ranking(self._asker, self._service, self.config.coins, is_enough)

    def _apply(self, name: str) -> bool:
        """Choose anew for one venue."""
        if name not in self.venues:
            if self._running[name]:
                self._running[name] = {}
                log.info(
                    "discovery.released", venue=name, reason="its symbols were changed by hand; the next start discovers again"
                )
            return False
        config, listed, before = self.config, self._listed[name], self._running[name]
        known = {one.symbol for one in listed}
        fallback = [symbol for symbol in config.fallback_pairs if symbol in known]
        chosen = choose(config.found(self._coins, listed), before, fallback, config.limit, config.margin)
        added = [symbol for symbol in chosen if symbol not in before]
        removed = [symbol for symbol in before if symbol not in chosen]
        self._running[name] = chosen
        if added or removed:
            self._hand_over(name)
        self._metrics.discovery_changes.labels(name, "added").inc(len(added))
        self._metrics.discovery_changes.labels(name, "removed").inc(len(removed))
        log.info(
            "discovery.refreshed", venue=name, coins=len(self._coins), pairs=len(chosen), added=len(added), removed=len(removed),
            **named("first_added", added), **named("first_removed", removed),
        )  # fmt: skip
        return True

    def _hand_over(self, name: str) -> None:
        symbols = self._set[name] = tuple(self._running[name])
        self._metrics.discovery_pairs.labels(name).set(len(symbols))
        self._feeds.change(name, symbols)

    def _failed(self, reason: str, result: str, delay_s: float) -> None:
        self.reason = reason
        self._metrics.discoveries.labels(result).inc()
        log.warning("discovery.failed", reason=reason, in_force=self.in_force, retry_in_s=round(delay_s, 1))

    # -- across restarts ------------------------------------------------------------------------------------------

    @property
    def _taste(self) -> dict[str, Any]:
        """What a saved list depends on: with another one it would be another list."""
        return {"quotes": list(self.config.quotes), "exclude": list(self.config.exclude)}

    def _load(self) -> Mapping[str, Mapping[str, Standing]]:
        """The list of an earlier run, by venue, if it is young enough."""
        try:
            saved = json.loads(self._path.read_bytes())
            age_s = (self._clock.now_ns() - saved["ts"]) / 1e9
            if saved["taste"] != self._taste or not 0 <= age_s <= SAVED_AGE_S:
                return {}
            pairs = {
                name: {neutral(symbol): Standing(int(place), int(misses)) for symbol, (place, misses) in its.items()}
                for name, its in saved["pairs"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no list of pairs"
            log.warning("discovery.not_kept", path=str(self._path), reason=f"cannot be read: {why}; it is ignored")
            return {}
        self.refreshed = saved["ts"]
        self._metrics.discovery_time.set(saved["ts"] / 1e9)
        return pairs

    def _save(self) -> None:
        pairs = {name: {symbol: list(stand) for symbol, stand in self._running[name].items()} for name in self.venues}
        text = json.dumps({"ts": self.refreshed, "taste": self._taste, "pairs": pairs})
        part = self._path.with_suffix(".part")
        try:
            part.write_text(text)
            part.replace(self._path)
        except OSError as error:
            log.warning("discovery.not_kept", path=str(self._path), reason=f"cannot be written: {error.strerror}")


async def read_ranking(asker: Asker, service: CoinGecko, most: int, is_enough: Callable[[list[Coin]], bool]) -> list[Coin]:
    """Pages until there are enough coins, or as many as are wanted at most. Raises MarketdError."""
    coins: list[Coin] = []
    for page in range(1, -(-most // PAGE) + 1):
        answer = await asker.ask(service.page_request(page), Priority.LIVE)
        more = service.read_page(answer)
        if not more and page == 1:
            raise BadFrame(service.name, answer.body, "the ranking is empty")
        coins = [*coins, *more][:most]
        if not more or is_enough(coins):
            break
    return coins


@asynccontextmanager
async def open_asker(
    config: DiscoveryConfig, clock: Clock, metrics: Metrics, capture: Capture | None = None
) -> AsyncIterator[tuple[Asker, CoinGecko]]:
    """Who asks the service, within its limits, for answers of bounded size and time."""
    service = config.service()
    async with Http(within_s=ANSWER_WITHIN_S, bytes_max=ANSWER_BYTES_MAX) as http:
        yield Asker(service, config.base, http, Governor(clock, service.limits.rest), clock, metrics, capture), service


def named(key: str, symbols: list[str]) -> dict[str, str]:
    """The first few of them for a log line; nothing where there is none."""
    return {key: ", ".join(symbols[:NAMED_MAX])} if symbols else {}


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0  # raises for what is no number
    except ValueError:
        return False


@asynccontextmanager
async def open_discovery(
    config: DiscoveryConfig, feeds: Feeds, data_dir: Path, clock: Clock, metrics: Metrics, capture: Capture | None = None
) -> AsyncIterator[Discovery]:
    """Before the feeds run: it gives them the pairs to begin with."""
    async with open_asker(config, clock, metrics, capture) as (asker, service):
        yield Discovery(config, feeds, asker, service, data_dir / FILE, clock, metrics)


@asynccontextmanager
async def discovering(discovery: Discovery) -> AsyncIterator[None]:
    """While the feeds run."""
    async with room("discovery") as here:
        here.start("refresh", discovery.run())
        yield
