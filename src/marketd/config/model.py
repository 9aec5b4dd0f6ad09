"""One model gathered from each room's section. The outside names `exchanges` and `daemon` are mapped here and nowhere else."""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import quote

from pydantic import BeforeValidator, Field, field_validator, model_validator

from marketd.analysis.section import AnalysisConfig, FeaturesConfig
from marketd.api.section import ApiConfig
from marketd.candles.section import CacheConfig
from marketd.config.sections import (
    BusConfig,
    DashboardConfig,
    DatabaseConfig,
    RetentionConfig,
)
from marketd.config.sinks import SinksConfig
from marketd.history.section import ArchiveConfig
from marketd.log.section import LoggingConfig
from marketd.net.nats import NatsConfig
from marketd.net.redis import RedisConfig
from marketd.paper.section import PaperConfig
from marketd.section import Section
from marketd.stores.cache.section import MessageLogConfig
from marketd.venues.discovery import DiscoveryConfig
from marketd.venues.section import BookConfig, FailoverConfig, RepairConfig, VenueConfig, split_words

Role = Literal["ingest", "archive", "cache", "features", "scanner", "ta", "trader"]
ROLES: tuple[Role, ...] = get_args(Role)


class Shard(Section):
    """This process's share of the symbols: the `index`-th of `count`, from 1."""

    index: int = Field(1, ge=1, description="which share, from 1")
    count: int = Field(1, ge=1, le=1024, description="how many shares")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        index, _, count = value.partition("/")
        if not (index.isdecimal() and count.isdecimal()):
            raise ValueError("expected I/N with I from 1 to N, as 1/3")
        return {"index": int(index), "count": int(count)}

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.index > self.count:
            raise ValueError("expected I/N with I from 1 to N, as 1/3")
        return self


class Config(Section):
    """Everything that can be set, checked."""

    profile: str = Field("all-in-one", description="the shipped file that all others lie on")
    roles: Annotated[tuple[Role, ...], BeforeValidator(split_words)] = Field(("ingest",), description="what this process does")
    shard: Shard = Field(Shard(), description="this process's share of the symbols, as 1/3")
    data_dir: Path = Field(Path("marketd-data"), description="where databases, event files, spills and the API token are")
    venues: dict[str, VenueConfig] = Field({}, alias="exchanges", description="venues to collect from")
    bus: BusConfig = BusConfig()
    book: BookConfig = BookConfig()
    repair: RepairConfig = RepairConfig()
    failover: FailoverConfig = FailoverConfig()
    retention: RetentionConfig = RetentionConfig()
    sinks: SinksConfig = SinksConfig()
    api: ApiConfig = ApiConfig()
    logging: LoggingConfig = LoggingConfig()
    nats: NatsConfig = NatsConfig()
    redis: RedisConfig = RedisConfig()
    discovery: DiscoveryConfig = DiscoveryConfig()
    database: DatabaseConfig = DatabaseConfig()
    archive: ArchiveConfig = Field(ArchiveConfig(), alias="daemon")
    cache: CacheConfig = CacheConfig()
    message_log: MessageLogConfig = MessageLogConfig()
    features: FeaturesConfig = FeaturesConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    paper: PaperConfig = PaperConfig()
    dashboard: DashboardConfig = DashboardConfig()

    @field_validator("data_dir")
    @classmethod
    def _expanded(cls, path: Path) -> Path:
        return path.expanduser()

    @model_validator(mode="after")
    def _backups_back_something(self) -> Self:
        for name, venue in self.venues.items():
            primary = venue.backup_for
            if not venue.enabled or primary is None:
                continue
            others = [other for other, its in self.venues.items() if other != name and its.enabled and its.backup_for is None]
            if primary not in others:
                found = f"exchanges.{name}.backup_for: found {primary!r}, expected an enabled exchange that is no backup itself"
                raise ValueError(f"{found}: {', '.join(others) or 'there is none'}")
        return self

    @model_validator(mode="after")
    def _partitions_are_of_a_stream(self) -> Self:
        count = self.features.partitions
        if "features" in self.roles and count > 1 and not self.nats.jetstream:
            found = f"features.partitions: found {count}, which shares a stream of JetStream among processes"
            raise ValueError(f"{found}; expected nats.jetstream: true (USE_JETSTREAM=true) beside it, or features.partitions: 1")
        return self

    @model_validator(mode="after")
    def _features_have_events(self) -> Self:
        if "features" in self.roles and "ingest" not in self.roles and self.nats.enabled is False:
            raise ValueError("role features has no events: set NATS_ENABLED=true, or run role ingest beside it")
        return self

    @property
    def feeds(self) -> dict[str, VenueConfig]:
        """The enabled venues in config order; a backup has its primary's symbols, channels and timeframes."""
        enabled = {name: venue for name, venue in self.venues.items() if venue.enabled}
        return {
            name: venue
            if venue.backup_for is None
            else venue.model_copy(
                update={key: getattr(enabled[venue.backup_for], key) for key in ("symbols", "channels", "timeframes")}
            )
            for name, venue in enabled.items()
        }

    def venue_settings(self, name: str) -> dict[str, str]:
        """What a venue's class is built with: its keys, by the names of their variables."""
        venue = self.venues.get(name, VenueConfig())
        found = {
            f"{name.upper()}_KEY": None if venue.key is None else venue.key.get_secret_value(),
            f"{name.upper()}_SECRET": None if venue.secret is None else venue.secret.get_secret_value(),
            f"{name.upper()}_DRY_RUN": None if venue.dry_run is None else str(venue.dry_run).lower(),
            "PAIRS_PER_CONNECTION": None if venue.pairs_per_connection is None else str(venue.pairs_per_connection),
        }
        return {key: value for key, value in found.items() if value is not None}

    @property
    def database_url(self) -> str:
        """Where candles are kept, with its password if it has one: not for showing."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{quote(str(self.data_dir / 'archive.db'))}"

    def path(self, path: Path) -> Path:
        """A path of the config: relative ones start in the data directory."""
        return self.data_dir / path.expanduser()
