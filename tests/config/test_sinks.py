"""The section `sinks` holds each sink's own settings under its name."""

import pytest
from pydantic import ValidationError

from marketd.config.sinks import SinksConfig
from marketd.errors import ConfigError
from tests.config.conftest import Load


def test_every_sink_has_its_part_with_its_own_defaults() -> None:
    sinks = SinksConfig()

    assert {"sqlite", "jsonl", "console", "prometheus", "delivery"} <= set(SinksConfig.model_fields)
    for name, field in SinksConfig.model_fields.items():
        assert type(getattr(sinks, name))() == getattr(sinks, name), name
        assert field.description, name


def test_a_setting_reaches_the_sink_it_names_and_no_other(loaded: Load) -> None:
    sinks = loaded("sinks: {jsonl: {enabled: false}, console: {every: 7}}", profile="live-ingest").sinks

    assert (sinks.jsonl.enabled, sinks.console.every, sinks.sqlite.enabled) == (False, 7, True)


def test_a_sink_that_is_none_is_a_mistake_with_the_nearest_name(loaded: Load) -> None:
    with pytest.raises(ConfigError, match="sinks"):
        loaded("sinks: {jsnol: {enabled: true}}")
    with pytest.raises(ValidationError):
        SinksConfig.model_validate({"jsnol": {}})
