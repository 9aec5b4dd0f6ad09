"""`check` asks for the ranking of coins too, and says which pairs would follow."""

import pytest

from marketd.cli.discovered import NAMED_MAX
from marketd.sim import several
from tests.cli.conftest import Ask, Start

REDIS_OFF = {"MARKETD__REDIS__ENABLED": "false"}
PAIRS = several(40)


@pytest.fixture
def ranked(start: Start) -> dict[str, str]:
    """Variables of a simulated venue with 40 pairs and of its ranking."""
    program = start("sim", "--venue", "binance", "--port", "0", "--symbols", str(len(PAIRS)))
    return {name: program.wait_for(name).partition("=")[2] for name in ("BINANCE_WS_URL", "BINANCE_REST_URL", "COINGECKO_URL")}


def test_it_shows_what_would_be_collected_and_where_that_comes_from(ask: Ask, ranked: dict[str, str]) -> None:
    environ = {**ranked, **REDIS_OFF, "PAIRS_LIMIT": "20", "COINGECKO_API_KEY": "tell-nobody"}
    said = ask("check", "--profile", "trade-streams", environ=environ)

    assert said.code == 0, said.out + said.err
    assert "20 discovered for binance, again every 3600 s" in said.out
    assert f"{ranked['COINGECKO_URL']} (plan demo, with a key)" in said.out
    assert "binance collects BTCUSDT, ETHUSDT, SOLUSDT and what is discovered: trade" in said.out
    assert "binance would collect 20 pairs: BTCUSDT, ETHUSDT, SOLUSDT, AAAUSDT" in said.out
    assert f"and {20 - NAMED_MAX} more" in said.out
    assert "tell-nobody" not in said.out + said.err


def test_a_ranking_that_holds_fewer_is_said(ask: Ask, ranked: dict[str, str]) -> None:
    said = ask("check", "--profile", "trade-streams", environ={**ranked, **REDIS_OFF})

    assert "binance would collect 40 pairs of 200: the ranking has no more that it lists: BTCUSDT" in said.out


def test_without_a_ranking_it_says_why_and_what_would_run_all_the_same(ask: Ask, ranked: dict[str, str]) -> None:
    environ = {**ranked, **REDIS_OFF, "COINGECKO_API_KEY": "wrong"}
    said = ask("check", "--profile", "trade-streams", environ=environ)

    assert said.code == 0
    assert "binance would begin with BTCUSDT, ETHUSDT, SOLUSDT" in said.out
    assert "HTTP 401: API Key Missing" in said.out


def test_where_symbols_are_named_nothing_is_discovered(ask: Ask, ranked: dict[str, str]) -> None:
    said = ask("check", "--profile", "trade-streams", "--symbols", "ETHUSDT", environ={**ranked, **REDIS_OFF})

    assert "discovered" not in said.out
    assert "CoinGecko" not in said.out
