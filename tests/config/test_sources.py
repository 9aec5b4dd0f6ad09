"""Profiles, files and variables are read as they stand, and say where they are wrong."""

from pathlib import Path

import pytest

from marketd.config.sources import profile_names, read_env_file
from marketd.errors import ConfigError
from tests.config.conftest import Load

PROFILES = {
    "live-ingest": (("ingest",), 8891),
    "trade-streams": (("ingest",), 8099),
    "candle-archive": (("archive",), 8100),
    "candle-cache": (("cache",), 8895),
    "features": (("features",), 8892),
    "scanner": (("scanner",), 8896),
    "ta-service": (("ta",), 8897),
    "trader-bot": (("trader",), 8898),
    "api": ((), 8100),
    "all-in-one": (("ingest", "archive", "features", "cache", "scanner", "ta", "trader"), 8100),
}


def test_every_profile_ships() -> None:
    assert profile_names() == sorted(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_starts_its_role_on_its_port(loaded: Load, name: str) -> None:
    config = loaded(profile=name)

    assert (config.roles, config.api.port) == PROFILES[name]


def test_live_ingest_is_two_venues_and_every_sink(loaded: Load) -> None:
    config = loaded(profile="live-ingest")

    assert {name: (venue.symbols, venue.wanted, venue.backup_for) for name, venue in config.feeds.items()} == {
        "binance": (("BTCUSDT", "ETHUSDT"), ("trade", "quote", "book"), None),
        "bybit": (("BTCUSDT", "ETHUSDT"), ("trade", "quote", "book"), "binance"),
    }
    sinks = config.sinks
    assert sinks.sqlite.enabled
    assert sinks.jsonl.enabled
    assert sinks.console.enabled
    assert sinks.console.every == 100


def test_env_files_hold_names_quotes_comments_and_exports(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# a comment\nexport A=1\nB='two words'\nC=\n\nD=x # said\n")

    assert read_env_file(path) == {"A": "1", "B": "two words", "C": "", "D": "x"}


def test_a_broken_line_of_an_env_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n'B\n")

    with pytest.raises(ConfigError, match="line 2"):
        read_env_file(path)
