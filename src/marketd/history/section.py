"""What can be set about the candle archive: section `daemon`, an outside name."""

from pydantic import Field

from marketd.section import Section


class ArchiveConfig(Section):
    """How the candle archive fills itself."""

    backfill_on_startup: bool = Field(True, description="fetch missing history when the daemon starts")
    backfill_days: int = Field(365, ge=1, description="how far back")
    gap_repair_interval_minutes: float = Field(60, gt=0, description="period of the scan for gaps")
    health_check_interval_seconds: float = Field(30, gt=0, description="period of the check of the store and of each series")
    compare_with_trades: bool = Field(
        False, description="build candles from trades too where both are collected, and say where the venue's differ"
    )
    recheck_interval_seconds: float = Field(300, gt=0, description="period in which closed candles are compared with REST")
