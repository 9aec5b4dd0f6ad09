"""A complaint names the nearest known key."""

import pytest
from pydantic import ValidationError

from marketd.config.complaints import complaint, did_you_mean, keys_of
from marketd.config.model import Config
from marketd.errors import ConfigError
from tests.config.conftest import Load


def test_a_number_that_is_none_is_said_in_plain_words(loaded: Load) -> None:
    with pytest.raises(ConfigError, match=r"api.port \(HTTP_PORT\): found 'eighty', expected a whole number$"):
        loaded(None, {"HTTP_PORT": "eighty"})


def test_only_a_near_key_is_suggested() -> None:
    assert did_you_mean("capcity", ["capacity", "heartbeat_s"]) == " (did you mean capacity?)"
    assert did_you_mean("zzz", ["capacity", "heartbeat_s"]) == ""


def test_keys_of_a_venue_are_found_through_the_mapping() -> None:
    assert "backup_for" in keys_of(Config, ("exchanges", "anything"))
    assert keys_of(Config, ("bus",)) == ["capacity", "heartbeat_s"]
    assert keys_of(Config, ("bus", "capacity")) == []


def test_a_misspelt_key_comes_before_other_faults() -> None:
    try:
        Config.model_validate({"bus": {"capacity": "x", "heart": 1}})
    except ValidationError as error:
        said = str(complaint(error, Config, {}))

    assert said == "config bus.heart: unknown key (did you mean heartbeat_s?); allowed: capacity, heartbeat_s (and 1 more)"
