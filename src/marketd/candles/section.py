"""The settings of the candle cache."""

from pydantic import Field, field_validator

from marketd.candles.schedule import pace
from marketd.model.instruments import neutral
from marketd.model.timeframes import timeframe
from marketd.section import Section
from marketd.venues import POLLED
from marketd.venues.section import Words

COINS_MAX = 100  # prices of so many come in one answer


class CacheConfig(Section):
    """The polled candle cache."""

    enabled: bool = Field(True, description="poll where the role cache runs")
    venue: str = Field(POLLED, description="the venue that is polled, over REST only")
    rest_url: str | None = Field(None, description="its REST base, where it has no section of its own among the exchanges")
    symbols: Words = Field(
        (), description="coins (`BTC`: its USDT market, else its USD market) or symbols (`BTCUSD`); default a list of 29 coins"
    )
    timeframes: Words = Field(("5m", "1h", "4h"), description="timeframes to keep")
    spread: float = Field(
        0.5, ge=0.05, le=0.9, description="part of a cycle over which its questions are spread; the rest is for those that failed"
    )

    @field_validator("symbols")
    @classmethod
    def _neutral(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(neutral(symbol) for symbol in symbols))
        if len(found) > COINS_MAX:
            raise ValueError(f"expected at most {COINS_MAX} coins, found {len(found)}")
        return found

    @field_validator("timeframes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("expected at least one timeframe, as 5m")
        for name in names:
            timeframe(name)
        return tuple(sorted(dict.fromkeys(names), key=lambda name: (pace(name).every_s, timeframe(name).step or 2**63)))

    @field_validator("rest_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("expected an address with http:// or https://")
        return url.rstrip("/") if url else None
