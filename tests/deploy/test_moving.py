"""The pages on moving: each old service beside its profile, its port, its variables, its proof and the way back."""

import re
from pathlib import Path

import pytest

from marketd.config.sources import read_profile

ROOT = Path(__file__).resolve().parents[2]
MOVING = ROOT / "docs" / "moving"
VARIABLES = {
    "live-ingest": "HTTP_PORT HTTP_HOST NATS_URL NATS_ENABLED NATS_SUBJECT_PREFIX USE_JETSTREAM ALPACA_KEY ALPACA_SECRET "
    "ALPACA_DRY_RUN",
    "trade-streams": "HTTP_PORT HEALTH_PORT HTTP_HOST REDIS_URL BINANCE_WS_URL PAIRS_PER_CONNECTION COINGECKO_API_KEY "
    "COINGECKO_PLAN PAIRS_LIMIT FALLBACK_PAIRS DISCOVERY_REFRESH_SEC STREAM_MAXLEN",
    "candle-archive": "HTTP_PORT HTTP_HOST DATABASE_URL",
    "candle-cache": "HTTP_PORT HTTP_HOST REDIS_URL",
    "features": "HTTP_HOST NATS_URL NATS_SUBJECT_PREFIX USE_JETSTREAM FEATURES_PUB_RATE_HZ SIGNAL_RETURN_THRESHOLD "
    "SIGNAL_VOLUME_THRESHOLD SIGNAL_SPREAD_BPS ROLLING_WINDOW_SECONDS",
}


@pytest.mark.parametrize("profile", VARIABLES)
def test_a_page_has_the_old_beside_the_new_and_the_way_there_and_back(profile: str) -> None:
    page = (MOVING / f"{profile}.md").read_text()
    headings = re.findall(r"^## (.*)$", page, re.M)

    assert f"marketd run --profile {profile}" in page
    assert f"marketd check --profile {profile}" in page
    assert f"port {read_profile(profile)['api']['port']}" in page
    assert "marketd verify " in page
    assert [name for name in VARIABLES[profile].split() if f"`{name}`" not in page] == []
    assert [one for one in ("Try it beside the old one", "Who reads it", "Prove it", "Go back") if one not in headings] == []


def test_every_variable_of_a_page_is_one_that_there_is() -> None:
    there = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))

    assert {name for names in VARIABLES.values() for name in names.split()} <= there


def test_every_page_is_on_the_first_one() -> None:
    first = (MOVING / "README.md").read_text()

    assert {f"{profile}.md" for profile in VARIABLES} == {path.name for path in MOVING.glob("*.md")} - {"README.md"}
    assert [profile for profile in VARIABLES if f"({profile}.md)" not in first] == []
