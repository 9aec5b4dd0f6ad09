"""What can be set about a venue and the care its data gets: sections `exchanges.<venue>`, `book`, `repair`, `failover`."""

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from marketd.model.events import Channel
from marketd.model.instruments import neutral
from marketd.model.timeframes import timeframe
from marketd.secrets import Secret, header_word
from marketd.section import Section

CHANNELS_BY_DEFAULT: tuple[Channel, ...] = ("trade", "quote", "book")


def split_words(value: object) -> object:
    """A list may also be one text with commas, as in a variable or a flag."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(split_words)]
Channels = Annotated[tuple[Channel, ...], BeforeValidator(split_words)]


class VenueConfig(Section):
    """One venue: what is collected from it, and where it is found."""

    enabled: bool = Field(True, description="collect from this venue")
    symbols: Words = Field((), description="venue-neutral symbols, as BTCUSDT; a backup inherits its primary's")
    timeframes: Words = Field(
        (),
        description="candle timeframes (1m, 5m, 1h, 1d); naming some adds the channel candle; the role archive keeps 1m without",
    )
    channels: Channels | None = Field(None, description="trade, quote, book, candle; default trade, quote and book")
    backup_for: str | None = Field(None, description="stand by for this venue: publish only while it is degraded")
    rest_share: float = Field(1.0, gt=0, le=1, description="share of the venue's REST limit that this process may use")
    ws_url: str | None = Field(None, description="WebSocket base instead of the venue's own")
    rest_url: str | None = Field(None, description="REST base instead of the venue's own")
    bulk_url: str | None = Field(None, description="the venue's public archive of candle files; used where it is named")
    key: Secret | None = Field(None, description="key of venues that want one; from the environment only")
    secret: Secret | None = Field(None, description="secret belonging to the key; from the environment only")
    dry_run: bool | None = Field(None, description="for venues that need keys: false connects, otherwise heartbeats only")
    pairs_per_connection: int | None = Field(None, ge=1, le=100, description="symbols on one connection, where they are combined")

    @field_validator("symbols")
    @classmethod
    def _neutral(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(neutral(symbol) for symbol in symbols))

    @field_validator("channels")
    @classmethod
    def _some(cls, channels: tuple[Channel, ...] | None) -> tuple[Channel, ...] | None:
        if channels == ():
            raise ValueError("expected at least one of trade, quote, book, candle; enabled: false collects nothing")
        return channels

    @field_validator("timeframes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            timeframe(name)
        return tuple(dict.fromkeys(names))

    @field_validator("key", "secret")
    @classmethod
    def _fits_a_header(cls, secret: Secret | None) -> Secret | None:
        return header_word(secret)

    @field_validator("ws_url", "rest_url", "bulk_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("ws://", "wss://", "http://", "https://")):
            raise ValueError("expected an address with ws://, wss://, http:// or https://")
        return url.rstrip("/") if url else None

    @property
    def wanted(self) -> tuple[Channel, ...]:
        """The channels to collect."""
        if self.channels is not None:
            return self.channels
        return (*CHANNELS_BY_DEFAULT, "candle") if self.timeframes else CHANNELS_BY_DEFAULT


class BookConfig(Section):
    """Order book views on the bus."""

    depth: int = Field(20, ge=1, le=1000, description="levels a side in a `book_l2` event")
    interval_ms: int = Field(100, ge=0, le=60_000, description="at most one view of a book in this time")


class RepairConfig(Section):
    """How missing trades are fetched."""

    hold_s: float = Field(2.0, ge=0, le=60, description="how long later trades of a symbol wait for a repair")
    hold_events: int = Field(10_000, ge=0, description="how many of them wait at most")
    audit_s: float = Field(60.0, ge=0, description="period of the comparison with REST where a venue proves nothing; 0: never")


class FailoverConfig(Section):
    """When a backup takes over, and when it hands back."""

    silence_s: float = Field(15.0, gt=0, description="silence of the primary after which the backup takes over")
    lag_ms: float = Field(5_000.0, gt=0, description="lag of the primary from which it counts as degraded")
    error_rate: float = Field(0.1, gt=0, le=1, description="share of bad frames from which it counts as degraded")
    recovery_s: float = Field(60.0, gt=0, description="health of the primary after which the backup hands back")
    price_tolerance_bps: float = Field(200.0, gt=0, description="a backup whose price is further off does not take over")
