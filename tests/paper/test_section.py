"""Settings of paper trading that make no sense are refused with words that say what would."""

import pytest
from pydantic import ValidationError

from marketd.paper.section import PaperConfig


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("timeframe", "1M", "fixed length"),
        ("timeframe", "hour", "no timeframe"),
        ("stop_percent", "100", "less than 100"),
        ("cash", "NaN", "finite"),
        ("fee_bps", "-1", "greater than or equal to 0"),
        ("book", "../other", "pattern"),
        ("fill", "market", "next_open"),
        ("rules", "ribbon_up, ribbon_dwon", "ribbon_down"),
        ("size_digits", 19, "18"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PaperConfig.model_validate({key: value})


def test_costs_may_not_eat_everything() -> None:
    with pytest.raises(ValidationError, match="nothing would be left"):
        PaperConfig.model_validate({"fee_bps": 4999, "slippage_bps": 4999, "spread_bps": 4})


def test_numbers_keep_the_digits_they_are_written_with() -> None:
    assert str(PaperConfig.model_validate({"cash": 1000.10}).cash) == "1000.1"
    assert str(PaperConfig.model_validate({"fee_bps": "7.5"}).fee_bps) == "7.5"


def test_every_key_is_explained() -> None:
    assert [name for name, field in PaperConfig.model_fields.items() if not field.description] == []
