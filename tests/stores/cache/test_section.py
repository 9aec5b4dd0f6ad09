"""The settings of the message log."""

import pytest
from pydantic import ValidationError

from marketd.stores.cache.section import MessageLogConfig


def test_it_is_on_and_keeps_ten_thousand_entries_in_one_stream() -> None:
    assert MessageLogConfig() == MessageLogConfig(enabled=True, maxlen=10_000, mirror=None)


def test_the_mirror_is_the_one_that_is_not_logged_itself() -> None:
    with pytest.raises(ValidationError, match="market:log"):
        MessageLogConfig(mirror="elsewhere")  # type: ignore[arg-type]
