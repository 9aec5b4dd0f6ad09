"""What can be set about features and their rules, and about the scanner and the technical analysis of candles."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from marketd.analysis.payloads import NAMES, Direction
from marketd.model.instruments import neutral
from marketd.model.signals import RULE_NAMES, RuleName
from marketd.model.timeframes import timeframe
from marketd.section import Section
from marketd.venues.section import Words, split_words

Op = Literal[">", ">=", "<", "<=", "=="]
OPS: tuple[Op, ...] = get_args(Op)
STANDARD = ("momentum_long", "momentum_short")  # the names of the rules that are there without being written


class ConditionConfig(Section):
    """One comparison of a feature with a number. A feature that is null fulfils none."""

    feature: str = Field(description="one of the eleven features")
    op: Op = Field(description="how it is compared")
    value: float = Field(allow_inf_nan=False, description="with what it is compared")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        """`return_10s > 0.003` is the same as the three keys."""
        if not isinstance(value, str):
            return value
        parts = value.split()
        if len(parts) != 3:
            raise ValueError(f"expected FEATURE OP NUMBER with spaces between, as 'return_10s > 0.003', found {value!r}")
        return dict(zip(("feature", "op", "value"), parts, strict=True))

    @field_validator("feature")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in NAMES:
            raise ValueError(f"{name!r} is no feature; there are: {', '.join(NAMES)}")
        return name


class RuleConfig(Section):
    """A signal is sent when all of `when` holds."""

    name: str = Field(min_length=1, max_length=64, description="what its signals are called")
    direction: Direction = Field(description="what its signals advise")
    when: tuple[ConditionConfig, ...] = Field(min_length=1, description="conditions, all of which must hold")


def _listed(value: object) -> object:
    """One rule may stand without a list."""
    return [value] if isinstance(value, dict) else value


class FeaturesConfig(Section):
    """Rolling features and the signals made of them."""

    provider: str = Field("primary", min_length=1, description="primary (follows failover) or the name of a venue")
    rate_hz_max: float = Field(10.0, gt=0, le=1000, description="messages a second and symbol, at most")
    window_s: float = Field(
        60.0, gt=0, description="how much is retained; a shorter window keeps the names, a longer one changes nothing"
    )
    signal_return: float = Field(0.003, gt=0, description="return in 10 s from which a signal is sent")
    signal_volume: float = Field(1.0, ge=0, description="volume in 10 s from which a signal is sent")
    signal_spread_bps: float = Field(20.0, gt=0, description="spread below which a signal is sent")
    signal_cooldown_s: float = Field(5.0, ge=0, description="time between two signals of a symbol and rule, by event time")
    standard_rules: bool = Field(True, description="send momentum_long and momentum_short, made of the signal_ keys")
    rules: Annotated[tuple[RuleConfig, ...], BeforeValidator(_listed)] = Field(
        (), description="more rules, each with name, direction (long, short) and when: a list as 'return_10s > 0.003'"
    )
    alert_latency_ms: float = Field(1000.0, gt=0, description="latency_ms_p95 above which an alert is sent")
    alert_fill: float = Field(0.9, gt=0, le=1, description="how full the queue is when an alert is sent")
    alert_cooldown_s: float = Field(60.0, ge=0, description="time between two alerts of a kind and symbol")
    partitions: int = Field(
        0,
        ge=0,
        le=512,
        description="parts into which members of a group split the symbols, the same at each; 0 or 1: one member; more need "
        "nats.jetstream",
    )
    lease_s: int = Field(
        3, ge=1, le=300, description="seconds after which the others take over from a member that is not heard of any more"
    )
    symbols_max: int = Field(
        10_000, ge=1, description="symbols that are followed; one more takes the place of the one silent longest, or is counted"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [*(STANDARD if self.standard_rules else ()), *(rule.name for rule in self.rules)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules: {', '.join(twice)} is there twice; every rule needs a name of its own")
        return self


class AnalysisConfig(Section):
    """Scanner and technical analysis. docs/analysis.md has the formulas that the keys belong to."""

    timeframes: Words = Field(("5m", "1h", "4h"), description="timeframes that the technical analysis reads")
    scanner_timeframe: str = Field("1h", description="the timeframe that the scanner reads")
    symbols: Words = Field((), description="coins to read beside those that the cache announces, as BTCUSDT")

    rsi_period: int = Field(14, ge=3, le=499, description="scanner: candles of the RSI")
    vwap_candles: int = Field(24, ge=1, le=500, description="scanner: candles of the rolling VWAP")
    bollinger_period: int = Field(20, ge=2, le=500, description="scanner: candles of the Bollinger bands")
    bollinger_deviations: float = Field(2.0, gt=0, allow_inf_nan=False, description="scanner: their distance, in deviations")
    score_rsi_weight: float = Field(0.4, ge=0, le=1, description="share of the RSI in the score")
    score_rsi_full: float = Field(30.0, ge=0, le=100, description="RSI at which its part is 100")
    score_rsi_none: float = Field(70.0, ge=0, le=100, description="RSI at which its part is 0")
    score_bollinger_weight: float = Field(0.3, ge=0, le=1, description="share of %B in the score")
    score_bollinger_full: float = Field(0.0, allow_inf_nan=False, description="%B at which its part is 100; the lower band is 0")
    score_bollinger_none: float = Field(1.0, allow_inf_nan=False, description="%B at which its part is 0; the upper band is 1")
    score_vwap_weight: float = Field(0.3, ge=0, le=1, description="share of the distance from the rolling VWAP in the score")
    score_vwap_full: float = Field(-2.0, allow_inf_nan=False, description="distance in percent at which its part is 100")
    score_vwap_none: float = Field(2.0, allow_inf_nan=False, description="distance in percent at which its part is 0")

    ribbon: Annotated[tuple[Annotated[int, Field(ge=2, le=499)], ...], BeforeValidator(split_words)] = Field(
        (8, 13, 21, 34, 55), min_length=2, max_length=12, description="candles of the averages of the ribbon, shortest first"
    )
    squeeze_period: int = Field(20, ge=2, le=200, description="candles of all parts of the squeeze")
    squeeze_bollinger: float = Field(2.0, gt=0, allow_inf_nan=False, description="distance of its Bollinger bands, in deviations")
    squeeze_keltner: float = Field(1.5, gt=0, allow_inf_nan=False, description="distance of its Keltner channel, in true ranges")
    squeeze_candles_min: int = Field(5, ge=1, le=100, description="candles that a squeeze lasts before its end is a signal")
    stochastic_rsi_period: int = Field(14, ge=3, le=200, description="candles of the RSI of the stochastic RSI")
    stochastic_period: int = Field(14, ge=2, le=200, description="values of that RSI whose range is looked at")
    stochastic_k: int = Field(3, ge=1, le=50, description="values averaged to %K")
    stochastic_d: int = Field(3, ge=1, le=50, description="values of %K averaged to %D")
    stochastic_low: float = Field(20.0, ge=0, le=100, description="%K below which a crossing upward is a signal")
    stochastic_high: float = Field(80.0, ge=0, le=100, description="%K above which a crossing downward is a signal")
    signals: Annotated[tuple[RuleName, ...], BeforeValidator(split_words)] = Field(
        RULE_NAMES, description="the rules that make signals"
    )

    @field_validator("symbols")
    @classmethod
    def _are_ours(cls, names: Words) -> Words:
        return tuple(dict.fromkeys(map(neutral, names)))

    @field_validator("scanner_timeframe")
    @classmethod
    def _scanner_reads(cls, name: str) -> str:
        timeframe(name)
        return name

    @field_validator("timeframes")
    @classmethod
    def _reads(cls, names: Words) -> Words:
        for name in names:
            timeframe(name)
        return names

    @field_validator("ribbon")
    @classmethod
    def _rises(cls, periods: tuple[int, ...]) -> tuple[int, ...]:
        if list(periods) != sorted(set(periods)):
            raise ValueError("periods that rise, as 8, 13, 21")
        return periods

    @model_validator(mode="after")
    def _can_score(self) -> Self:
        if self.score_rsi_weight + self.score_bollinger_weight + self.score_vwap_weight <= 0:
            raise ValueError("score_rsi_weight, score_bollinger_weight and score_vwap_weight are all 0; one must be above")
        for name in ("rsi", "bollinger", "vwap"):
            if getattr(self, f"score_{name}_full") == getattr(self, f"score_{name}_none"):
                raise ValueError(f"score_{name}_full and score_{name}_none are the same; they must differ")
        if self.stochastic_low >= self.stochastic_high:
            raise ValueError("stochastic_low must be below stochastic_high")
        return self
