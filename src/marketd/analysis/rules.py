"""Rules: which conditions make a signal, when it is sent, and how often an alert is."""

import operator
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import NamedTuple

from marketd.analysis.payloads import Alert, AlertKind, Direction, short
from marketd.analysis.section import STANDARD, FeaturesConfig, Op, RuleConfig
from marketd.analysis.windows import READ, SECOND, Window

_OPS: Mapping[Op, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq,
}  # fmt: skip
# What costs more to know comes later, so that most of the time the first comparison settles it.
_COST = {"mid": 1, "spread_abs": 1, "spread_bps": 1, "realized_vol_60s": 1, "latency_ms_p50": 2, "latency_ms_p95": 2}


class Condition(NamedTuple):
    feature: str
    op: Op
    value: float

    def __str__(self) -> str:
        return f"{self.feature} {self.op} {self.value:.15g}"


class Rule:
    """A name, a direction, and conditions that must all hold. A feature that is None fulfils none."""

    def __init__(self, name: str, direction: Direction, when: Iterable[Condition]) -> None:
        self.name, self.direction, self.when = name, direction, tuple(when)
        self.expression = " and ".join(map(str, self.when))
        self._checks = tuple(
            (READ[one.feature], _OPS[one.op], one.value) for one in sorted(self.when, key=lambda one: _COST.get(one.feature, 0))
        )

    def holds(self, window: Window) -> bool:
        for read, compare, limit in self._checks:
            value = read(window)
            if value is None or not compare(value, limit):
                return False
        return True

    def inputs(self, window: Window) -> dict[str, float | None]:
        """The features that it looks at, as they are."""
        return {one.feature: READ[one.feature](window) for one in self.when}


def rules_of(config: FeaturesConfig) -> tuple[Rule, ...]:
    """The standard ones, unless they are switched off, then those that the config adds."""
    return (*(standard_rules(config) if config.standard_rules else ()), *map(_rule, config.rules))


def standard_rules(config: FeaturesConfig) -> tuple[Rule, Rule]:
    traded = Condition("trade_volume_10s", ">", config.signal_volume)
    narrow = Condition("spread_bps", "<", config.signal_spread_bps)
    long, short = STANDARD
    return (
        Rule(long, "long", (Condition("return_10s", ">", config.signal_return), traded, narrow)),
        Rule(short, "short", (Condition("return_10s", "<", -config.signal_return), traded, narrow)),
    )


def _rule(config: RuleConfig) -> Rule:
    return Rule(config.name, config.direction, (Condition(one.feature, one.op, one.value) for one in config.when))


def calm_returns(rules: Iterable[Rule]) -> tuple[float, float] | None:
    """Between these two values of `return_10s`, and without one, no rule can hold: most events need no closer look.

    None if some rule does not ask for the return.
    """
    low, high = -inf, inf
    for rule in rules:
        bounds = [(one.op, one.value) for one in rule.when if one.feature == "return_10s" and one.op != "=="]
        if not bounds:
            return None
        op, value = bounds[0]
        if op in (">", ">="):
            high = min(high, value)
        else:
            low = max(low, value)
    return low, high


class Edge:
    """Of one rule and symbol: when a signal is due. On becoming true and then, while true, once a cooldown.

    The cooldown also holds between two times of becoming true: a condition that flickers sends no more than one that stays.
    """

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: int | None = None  # event time of the last signal, ns

    def is_due(self, now: int, cooldown_ns: int) -> bool:
        """The rule holds at event time `now`: whether that is to be sent. If so it counts as sent."""
        if self._sent is not None and now - self._sent < cooldown_ns:
            return False
        self._sent = now
        return True


class Alerts:
    """Lets one alert of a kind and symbol through in a cooldown, and has the next one say how many it kept back."""

    def __init__(self, cooldown_s: float) -> None:
        self._cooldown_ns = int(cooldown_s * SECOND)
        self._sent: dict[tuple[AlertKind, str], int] = {}
        self._kept_back: dict[tuple[AlertKind, str], int] = {}

    def make(self, kind: AlertKind, symbol: str, ts: int, detail: str) -> Alert | None:
        key = (kind, symbol)
        sent = self._sent.get(key)
        if sent is not None and 0 <= ts - sent < self._cooldown_ns:
            self._kept_back[key] = self._kept_back.get(key, 0) + 1
            return None
        self._sent[key] = ts
        kept, detail = self._kept_back.pop(key, 0), short(detail)
        return Alert(kind, symbol, ts, f"{detail} (and {kept} more since the last alert)" if kept else detail)

    def forget(self, symbol: str) -> None:
        for key in [key for key in self._sent if key[1] == symbol]:
            del self._sent[key]
            self._kept_back.pop(key, None)
