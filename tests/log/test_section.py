"""The section `logging`."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from marketd.log.section import LoggingConfig


def test_by_default_what_an_operator_wants_to_know_goes_to_the_terminal_only() -> None:
    config = LoggingConfig()

    assert (config.level, config.format, config.file) == ("info", "auto", None)
    assert (config.repeat_first, config.repeat_interval_s) == (5, 60)


def test_a_file_is_a_path() -> None:
    assert LoggingConfig.model_validate({"file": "logs/marketd.log"}).file == Path("logs/marketd.log")


@pytest.mark.parametrize(
    "wrong", [{"level": "loud"}, {"format": "xml"}, {"repeat_first": 0}, {"repeat_interval_s": 0}, {"levl": "info"}]
)
def test_what_cannot_be_is_refused_by_its_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        LoggingConfig.model_validate(wrong)

    assert {error["loc"][0] for error in refused.value.errors()} == set(wrong)
