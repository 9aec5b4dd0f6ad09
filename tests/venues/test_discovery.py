"""Discovery on simulated venues: what is collected, what a failed refresh leaves alone, and who has the last word."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.sim import Sim, invented, open_sim
from marketd.venues import discovery as module
from marketd.venues.discovery import FILE, Discovery, DiscoveryConfig, discovering, open_discovery
from marketd.venues.feed import FeedConfig
from marketd.venues.feeds import Feeds
from marketd.venues.rests import open_rests
from marketd.venues.section import FailoverConfig, VenueConfig
from tests.daemons import eventually

KNOWN = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
NAMES = [*KNOWN, *invented(30)]
WITHIN_S = 20.0


class Discovering:
    """Feeds whose pairs are discovered."""

    def __init__(self, sim: Sim, feeds: Feeds, discovery: Discovery, metrics: Metrics) -> None:
        self.sim, self.feeds, self.discovery, self.metrics = sim, feeds, discovery, metrics

    def pairs(self, venue: str = "binance") -> list[str]:
        return list(dict.fromkeys(one.symbol for one in self.feeds.feeds[venue].wanted))

    def count(self, result: str) -> float:
        return self.metrics.discoveries.labels(result)._value.get()

    async def refreshes(self, count: int, result: str = "ok") -> None:
        """Until there were so many more."""
        enough = self.count(result) + count
        await eventually(lambda: self.count(result) >= enough, WITHIN_S)


@asynccontextmanager
async def running(
    sim: Sim, data_dir: Path, venues: Mapping[str, Mapping[str, Any]] | None = None, **settings: Any
) -> AsyncIterator[Discovering]:
    where, clock, metrics = sim.env(), SystemClock(), Metrics()
    configs = {
        name: VenueConfig.model_validate(
            {
                "ws_url": where[f"{name.upper()}_WS_URL"],
                "rest_url": where[f"{name.upper()}_REST_URL"],
                "channels": ["trade"],
                **its,
            }
        )
        for name, its in (venues or {"binance": {}}).items()
    }
    config = DiscoveryConfig.model_validate(
        {"enabled": True, "url": where["COINGECKO_URL"], "plan": "pro", "api_key": "k", "limit": 10, "refresh_s": 0.3, **settings}
    )
    feeds = Feeds(configs, lambda name: {}, FeedConfig(), FailoverConfig(), lambda events: None, clock, metrics)
    async with (
        open_discovery(config, feeds, data_dir, clock, metrics) as discovery,
        open_rests(feeds.venues, feeds.configs, clock, metrics) as rests,
        feeds.running(rests, {}, []),
        discovering(discovery),
    ):
        yield Discovering(sim, feeds, discovery, metrics)


def expected(sim: Sim, limit: int) -> list[str]:
    """The fallback pairs, then what the ranking says of those that the simulated venue lists."""
    found = [f"{ticker}USDT" for ticker in dict.fromkeys(sim.coins.tickers) if f"{ticker}USDT" in NAMES]
    return [*KNOWN, *(one for one in found if one not in KNOWN)][:limit]


async def test_the_best_pairs_that_the_venue_lists_are_collected_fallback_pairs_first(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        sim.coins.swaps = 0
        async with running(sim, tmp_path) as it:
            begun = it.pairs()
            await it.refreshes(1)

            assert begun == KNOWN
            assert it.pairs() == expected(sim, 10)
            assert it.discovery.reason == ""
            assert it.discovery.in_force.startswith("10 pairs, ranking of 20")


async def test_a_change_of_the_ranking_adds_and_removes_without_touching_the_others(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        sim.coins.swaps = 0
        async with running(sim, tmp_path) as it:
            await it.refreshes(1)
            await eventually(lambda: len(it.feeds.feeds["binance"].intake.streams) == 10, WITHIN_S)
            before, accepted = it.pairs(), sim.venue("binance").accepted
            sim.coins.move("ABD", 0)
            await it.refreshes(2)

            assert it.pairs() != before
            assert "ABDUSDT" in it.pairs()
            assert len(it.pairs()) == 10
            assert sim.venue("binance").accepted == accepted


async def test_at_the_edge_nothing_flaps_while_places_change(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES, seed=3) as sim:
        sim.coins.swaps = 0
        async with running(sim, tmp_path, margin=0.3) as it:
            await it.refreshes(1)
            before, last = it.pairs(), it.pairs()[-1].removesuffix("USDT")
            for _ in range(4):
                sim.coins.move(last, sim.coins.tickers.index(last) + 2)
                await it.refreshes(2)
                sim.coins.move(last, sim.coins.tickers.index(last) - 2)
                await it.refreshes(2)

            assert it.pairs() == before
            assert it.metrics.discovery_changes.labels("binance", "removed")._value.get() == 0


@pytest.mark.parametrize(
    ("fault", "settings", "words", "result"),
    [
        ("refuse", {"status": 429, "retry_after_s": 1}, "HTTP 429", "refused"),
        ("error500", {}, "HTTP 500", "refused"),
        ("garbage", {}, "expected a list of coins", "failed"),
        ("empty", {}, "the ranking is empty", "failed"),
        ("hang", {}, "no whole answer within 0.5 s", "failed"),
    ],
)
async def test_a_failed_refresh_leaves_the_last_list_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, settings: dict[str, Any], words: str, result: str
) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.5)
    async with open_sim(["binance"], symbols=NAMES) as sim, running(sim, tmp_path) as it:
        await it.refreshes(1)
        before = it.pairs()
        with capture_logs() as logs:
            sim.fault("coingecko", fault, **settings)
            await it.refreshes(2, result)
        said, kept = [one for one in logs if one["event"] == "discovery.failed"], it.pairs()
        reason = it.discovery.reason
        sim.heal("coingecko")
        await it.refreshes(1)

        assert kept == before
        assert words in reason
        assert said[0]["in_force"].startswith("10 pairs, ranking of ")
        assert it.discovery.reason == ""


async def test_when_the_very_first_fails_the_fallback_pairs_run_alone_until_it_works(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        sim.fault("coingecko", "refuse", status=503)
        async with running(sim, tmp_path, refresh_s=1.0) as it:
            await it.refreshes(1, "refused")
            alone, in_force = it.pairs(), it.discovery.in_force
            sim.heal("coingecko")
            await it.refreshes(1)

            assert alone == KNOWN
            assert in_force == "the fallback pairs alone (3)"
            assert len(it.pairs()) == 10


async def test_it_waits_as_long_as_the_service_says(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        sim.fault("coingecko", "refuse", status=429, retry_after_s=600)
        with capture_logs() as logs:
            async with running(sim, tmp_path) as it:
                await it.refreshes(1, "refused")
        said = next(one for one in logs if one["event"] == "discovery.failed")

        assert said["retry_in_s"] > 590
        assert len(sim.coins.asked) == 1


async def test_the_last_list_survives_a_restart_and_another_taste_does_not_take_it(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        async with running(sim, tmp_path) as it:
            await it.refreshes(1)
            before = it.pairs()
        sim.fault("coingecko", "error500")
        async with running(sim, tmp_path) as it:
            again, in_force = it.pairs(), it.discovery.in_force
        async with running(sim, tmp_path, limit=5) as it:
            fewer = it.pairs()
        async with running(sim, tmp_path, quotes=["USDT", "EUR"]) as it:
            other = it.pairs()

        assert again == before
        assert in_force.startswith("10 pairs, ranking of ")
        assert fewer == before[:5]
        assert other == KNOWN


ENDLESS = f'{{"ts": {"9" * 400}, "taste": {{}}, "pairs": {{}}}}'  # such a time is no number of seconds


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"ts": 1}', '{"ts": "x", "taste": {}, "pairs": 3}', "null", "[" * 200_000, ENDLESS],
    ids=["empty", "torn", "list", "nothing in it", "no time", "null", "deep", "endless"],
)  # fmt: skip
async def test_a_kept_list_that_cannot_be_read_is_said_and_left(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    async with open_sim(["binance"], symbols=NAMES) as sim:
        with capture_logs() as logs:
            async with running(sim, tmp_path) as it:
                begun = it.pairs()
                await it.refreshes(1)

        assert begun == KNOWN
        assert "discovery.not_kept" in [one["event"] for one in logs]
        assert len(json.loads((tmp_path / FILE).read_text())["pairs"]["binance"]) == 10


async def test_a_kept_list_that_is_too_old_is_not_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim:
        async with running(sim, tmp_path) as it:
            await it.refreshes(1)
        monkeypatch.setattr(module, "SAVED_AGE_S", 0)
        sim.fault("coingecko", "error500")
        async with running(sim, tmp_path) as it:
            assert it.pairs() == KNOWN


async def test_who_changes_symbols_by_hand_has_the_last_word(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=NAMES) as sim, running(sim, tmp_path) as it:
        await it.refreshes(1)
        with capture_logs() as logs:
            it.feeds.change("binance", ["ETHUSDT", "AAAUSDT"])
            await it.refreshes(3)

        assert it.pairs() == ["ETHUSDT", "AAAUSDT"]
        assert [one["event"] for one in logs].count("discovery.released") == 1
        assert it.discovery.venues == []


async def test_a_venue_with_symbols_of_its_own_keeps_them_and_a_backup_follows_its_primary(tmp_path: Path) -> None:
    venues: dict[str, dict[str, Any]] = {
        "binance": {}, "bybit": {"backup_for": "binance"}, "kraken": {"symbols": ["BTCUSDT"]}, "binance_us": {},
    }  # fmt: skip
    async with open_sim(list(venues), symbols=NAMES[:8]) as sim, running(sim, tmp_path, venues, limit=6) as it:
        await it.refreshes(1)
        await eventually(lambda: len(it.pairs("binance_us")) == 6, WITHIN_S)

        assert len(it.pairs("binance")) == 6
        assert it.pairs("bybit") == it.pairs("binance")
        assert it.pairs("kraken") == ["BTCUSDT"]
        assert it.discovery.venues == ["binance", "binance_us"]


async def test_a_venue_whose_list_comes_late_gets_its_pairs_then(tmp_path: Path) -> None:
    async with open_sim(["binance", "bybit"], symbols=NAMES) as sim:
        sim.fault("bybit", "refuse", status=503)
        async with running(sim, tmp_path, {"binance": {}, "bybit": {}}, refresh_s=600) as it:
            await it.refreshes(1)
            early = it.pairs("bybit")
            sim.heal("bybit")
            await eventually(lambda: len(it.pairs("bybit")) == 10, WITHIN_S)

            assert early == KNOWN
            assert it.pairs("bybit") == it.pairs("binance")
            assert it.count("ok") == 1


async def test_pages_are_read_until_the_list_is_full_and_no_further(tmp_path: Path) -> None:
    async with open_sim(["binance"], symbols=invented(300)) as sim:
        async with running(sim, tmp_path, fallback_pairs=["AAAUSDT"], limit=250, coins=750, refresh_s=60) as it:
            await it.refreshes(1)
            many = [one.query["page"] for one in sim.coins.asked]
        async with running(sim, tmp_path, fallback_pairs=["AAAUSDT"], limit=20, coins=750, refresh_s=60) as it:
            await it.refreshes(1)

            assert many == ["1", "2"]
            assert len(sim.coins.asked) == 3
            assert {one.headers["x-cg-pro-api-key"] for one in sim.coins.asked} == {"k"}


async def test_with_symbols_everywhere_there_is_nothing_to_discover(tmp_path: Path) -> None:
    async with open_sim(["binance"]) as sim:
        with capture_logs() as logs:
            async with running(sim, tmp_path, {"binance": {"symbols": ["BTCUSDT"]}}) as it:
                await eventually(lambda: it.feeds.feeds["binance"].loaded.is_set(), WITHIN_S)

        assert "discovery.idle" in [one["event"] for one in logs]
        assert sim.coins.asked == []


def test_the_defaults_are_those_that_were_promised() -> None:
    config = DiscoveryConfig()

    assert (config.plan, config.limit, config.refresh_s, config.base) == ("demo", 200, 3600, "https://api.coingecko.com/api/v3")
    assert config.fallback_pairs == ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"plan": "free"}, "plan"),
        ({"limit": 0}, "limit"),
        ({"enabled": True, "plan": "pro"}, "plan pro needs a key"),
        ({"url": "api.example"}, "expected an address"),
        ({"fallback_pairs": ["BTC-USDT"]}, "did you mean BTCUSDT"),
        ({"margin": 2}, "margin"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DiscoveryConfig.model_validate(settings)
