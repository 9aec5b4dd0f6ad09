"""The config section `logging`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from marketd.section import Section


class LoggingConfig(Section):
    """What is logged, how and where."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least important lines that are written")
    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else json")
    file: Path | None = Field(
        None, description="also write JSON lines to this file, relative to the data directory; rotated at 64 MiB"
    )
    repeat_first: int = Field(5, ge=1, description="so many equal warnings in an interval are written, the rest is counted")
    repeat_interval_s: float = Field(60.0, gt=0, description="the interval; at its end one line says how many were left out")
