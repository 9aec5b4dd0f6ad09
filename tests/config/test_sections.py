"""Keys of rooms that are still to come: known, checked, with the promised defaults."""

import pytest
from pydantic import ValidationError

from marketd.candles.section import CacheConfig
from marketd.config import sections
from marketd.section import Section

ALL = [one for one in vars(sections).values() if isinstance(one, type) and issubclass(one, Section) and one is not Section]


@pytest.mark.parametrize("section", ALL, ids=lambda one: one.__name__)
def test_every_key_has_a_default_and_an_explanation_and_no_other_key_is_taken(section: type[Section]) -> None:
    found = section()

    assert [name for name, field in section.model_fields.items() if not field.description] == []
    assert section.model_validate(found.model_dump()) is not None
    with pytest.raises(ValidationError, match="nonesuch"):
        section.model_validate({"nonesuch": 1})


def test_the_defaults_are_those_that_were_promised() -> None:
    bus = sections.BusConfig()

    assert (bus.capacity, bus.heartbeat_s) == (65_536, 10)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (sections.BusConfig, "capacity", 0),
        (sections.BusConfig, "heartbeat_s", 0),
    ],
)
def test_what_cannot_work_is_refused(section: type[Section], key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        section.model_validate({key: value})


def test_lists_may_be_one_text_with_commas() -> None:
    assert CacheConfig.model_validate({"timeframes": "5m, 1h"}).timeframes == ("5m", "1h")
