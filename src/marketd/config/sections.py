"""Sections whose rooms are still to come: their keys are known and checked, so that a config file written today stays valid."""

from pydantic import Field

from marketd.secrets import SecretUrl
from marketd.section import Section


class BusConfig(Section):
    """The fan-out between venues and consumers."""

    capacity: int = Field(
        65_536, ge=16, le=16_777_216, description="events that wait for one consumer before its rule for a full queue applies"
    )
    heartbeat_s: float = Field(10.0, gt=0, description="silence of a venue after which a heartbeat event is made")


class DatabaseConfig(Section):
    """Where candles are kept."""

    url: SecretUrl | None = Field(
        None,
        description="postgresql://user:password@host:port/database, sqlite:///relative.db or sqlite:////absolute.db; "
        "default SQLite in the data directory",
    )


class DashboardConfig(Section):
    """The dashboard."""

    enabled: bool = Field(True, description="serve it beside the API")


class RetentionConfig(Section):
    """When stored events go, for each store that does not say so itself."""

    keep_days: float | None = Field(None, gt=0, description="events older than this go; default: they stay")
    keep_bytes: int | None = Field(None, ge=0, description="the oldest go while a store is larger; default: they stay")
