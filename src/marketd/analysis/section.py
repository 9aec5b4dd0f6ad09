"""What can be set about features, and the small form in which a rule for a signal is written."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from marketd.analysis.payloads import NAMES, Direction
from marketd.section import Section

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
