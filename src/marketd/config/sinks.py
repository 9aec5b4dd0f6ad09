"""The section `sinks`: one part for each sink, gathered from the sinks' own files."""

from pathlib import Path

from pydantic import Field

from marketd.section import Section


class SqliteConfig(Section):
    enabled: bool = Field(True, description="store events in SQLite")
    path: Path = Field(Path("market_data.db"), description="the database; a relative path starts in the data directory")
    keep_days: float | None = Field(None, gt=0, description="older events go")
    keep_bytes: int | None = Field(None, ge=0, description="the oldest go while it is larger")


class JsonLinesConfig(Section):
    enabled: bool = Field(True, description="write every event to a file, one JSON object a line")
    path: Path = Field(Path("events.jsonl"), description="the file being written; a relative path starts in the data directory")
    keep_days: float | None = Field(None, gt=0, description="older events go")
    keep_bytes: int | None = Field(None, ge=0, description="the oldest go while it is larger")


class ConsoleConfig(Section):
    enabled: bool = Field(False, description="print events")
    every: int = Field(100, ge=1, description="one event in so many is printed")


class PrometheusConfig(Section):
    enabled: bool = Field(True, description="serve /metrics")


class SinksConfig(Section):
    """Where events go."""

    sqlite: SqliteConfig = SqliteConfig()
    jsonl: JsonLinesConfig = JsonLinesConfig()
    console: ConsoleConfig = ConsoleConfig()
    prometheus: PrometheusConfig = PrometheusConfig()
