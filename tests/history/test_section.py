"""Settings of the archive."""

import pytest
from pydantic import ValidationError

from marketd.history.section import ArchiveConfig


def test_the_defaults_are_a_year_of_history_and_an_hourly_scan() -> None:
    assert (True, 365, 60) == (
        ArchiveConfig().backfill_on_startup,
        ArchiveConfig().backfill_days,
        ArchiveConfig().gap_repair_interval_minutes,
    )


@pytest.mark.parametrize("wrong", [{"backfill_days": 0}, {"gap_repair_interval_minutes": 0}, {"recheck_interval_seconds": -1}])
def test_a_period_is_more_than_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ArchiveConfig.model_validate(wrong)
