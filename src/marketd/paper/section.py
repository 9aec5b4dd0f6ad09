"""What can be set about paper trading."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from marketd.model.signals import RuleName
from marketd.model.timeframes import timeframe
from marketd.section import Section
from marketd.venues.section import split_words

Fill = Literal["next_open", "quote"]
BPS = Decimal(10_000)


class PaperConfig(Section):
    """The paper trader: an account in our books only. No order ever goes to a venue."""

    book: str = Field(
        "main", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="name of the books; another name begins new ones beside the old"
    )
    cash: Decimal = Field(
        Decimal(10_000), gt=0, le=10**15, max_digits=30, description="money at the start of the books, in the quote currency"
    )
    timeframe: str = Field("1h", description="candles whose signals are acted on; the books keep to one")
    rules: Annotated[tuple[RuleName, ...], BeforeValidator(split_words)] = Field(
        (), description="rules whose signals are acted on; default: all"
    )
    position_percent: Decimal = Field(
        Decimal(10), gt=0, le=100, max_digits=9, description="what a position may cost, in percent of the equity"
    )
    position_quote: Decimal | None = Field(
        None, gt=0, le=10**15, max_digits=30, description="what a position may cost, in the quote currency, instead of a share"
    )
    positions_max: int = Field(5, ge=1, le=1000, description="positions open at a time, at most")
    stop_percent: Decimal | None = Field(
        Decimal(3), gt=0, lt=100, max_digits=9, description="loss of price at which a position is closed; null: no stop"
    )
    take_profit_percent: Decimal | None = Field(
        Decimal(6), gt=0, lt=100, max_digits=9, description="gain of price at which a position is closed; null: none"
    )
    cooldown_candles: int = Field(
        3, ge=0, le=10_000, description="candles after a position was closed in which its symbol is not entered again"
    )
    fee_bps: Decimal = Field(Decimal(10), ge=0, lt=5000, max_digits=9, description="fee of a fill, in 1/100 percent of its value")
    spread_bps: Decimal = Field(
        Decimal(4), ge=0, lt=5000, max_digits=9, description="spread taken as quoted where a candle gives the price; half is paid"
    )
    slippage_bps: Decimal = Field(
        Decimal(5), ge=0, lt=5000, max_digits=9, description="paid on top of half the spread, or of the quote"
    )
    fill: Fill = Field(
        "next_open",
        description="price of what a signal causes: next_open (of the candle after it, as in a back-test) or quote (bid, ask)",
    )
    stale_s: float = Field(90.0, gt=0, le=86_400, description="age from which a quote is not traded on")
    wait_s: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="how long a candle's signals wait for those of other symbols, to be taken in order; "
        "default: one and a half refreshes of the cache",
    )
    allow_short: bool = Field(False, description="open short positions; without, a short signal only closes a long one")
    size_digits: int = Field(6, ge=0, le=18, description="digits after the point of a size, rounded down")
    order_quote_min: Decimal = Field(
        Decimal(10), gt=0, le=10**15, max_digits=30, description="value of an order below which it is refused, quote currency"
    )

    @field_validator("timeframe")
    @classmethod
    def _fixed(cls, name: str) -> str:
        if timeframe(name).step == 0:
            raise ValueError("expected a timeframe of fixed length, as 1h")
        return name

    @model_validator(mode="after")
    def _costs_leave_something(self) -> Self:
        if self.spread_bps / 2 + self.slippage_bps + self.fee_bps >= BPS:
            raise ValueError("fee_bps, half of spread_bps and slippage_bps are together 10,000 or more: nothing would be left")
        return self
