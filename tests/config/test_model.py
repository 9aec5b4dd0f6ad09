"""What the whole configuration says about itself."""

from pathlib import Path

import pytest

from marketd.config.model import Config, Shard


def test_paths_start_in_the_data_directory() -> None:
    config = Config.model_validate({"data_dir": "/data"})

    assert config.path(Path("events.jsonl")) == Path("/data/events.jsonl")
    assert config.path(Path("/elsewhere/x")) == Path("/elsewhere/x")


def test_a_share_is_counted_from_one() -> None:
    assert Shard.model_validate("2/3") == Shard(index=2, count=3)
    for wrong in ("0/3", "4/3", "a/b", "3", ""):
        with pytest.raises(ValueError, match=r"(shard|Shard|I/N|greater)"):
            Shard.model_validate(wrong)


def test_switched_off_venues_are_not_fed() -> None:
    config = Config.model_validate({"exchanges": {"kraken": {"enabled": False}, "bybit": {}}})

    assert list(config.feeds) == ["bybit"]


def test_features_have_events_from_nats_or_from_venues() -> None:
    assert Config.model_validate({"roles": "features", "nats": {"enabled": True}})
    assert Config.model_validate({"roles": "ingest,features", "nats": {"enabled": False}})
    with pytest.raises(ValueError, match="role features has no events: set NATS_ENABLED=true, or run role ingest beside it"):
        Config.model_validate({"roles": "features", "nats": {"enabled": False}})
