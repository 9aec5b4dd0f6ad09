"""Rules: what they are made of, when a signal is due, how often an alert is."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from marketd.analysis.payloads import WORDS_MAX
from marketd.analysis.rules import Alerts, Edge, calm_returns, rules_of
from marketd.analysis.section import OPS, FeaturesConfig
from marketd.analysis.windows import SECOND, Window
from tests.samples import trade


def test_the_standard_rules_are_the_promised_ones_and_say_so() -> None:
    long, short = rules_of(FeaturesConfig())

    assert (long.name, long.direction) == ("momentum_long", "long")
    assert long.expression == "return_10s > 0.003 and trade_volume_10s > 1 and spread_bps < 20"
    assert short.expression == "return_10s < -0.003 and trade_volume_10s > 1 and spread_bps < 20"


def test_a_signal_is_due_at_once_and_then_once_a_cooldown() -> None:
    edge = Edge()

    assert [edge.is_due(second * SECOND, 5 * SECOND) for second in (0, 1, 4, 5, 6, 20)] == [True, False, False, True, False, True]


def test_alerts_are_let_through_once_a_cooldown_and_say_how_many_were_not() -> None:
    alerts = Alerts(60)
    made = [alerts.make("gap", "BTCUSDT", second * SECOND, "lost") for second in (0, 1, 2, 60)]

    assert [one and one.detail for one in made] == ["lost", None, None, "lost (and 2 more since the last alert)"]
    assert alerts.make("gap", "ETHUSDT", 0, "lost")


def test_between_the_calm_returns_no_rule_can_hold() -> None:
    def calm(*whens: list[str]) -> tuple[float, float] | None:
        rules = [{"name": str(number), "direction": "long", "when": when} for number, when in enumerate(whens)]
        return calm_returns(rules_of(FeaturesConfig.model_validate({"standard_rules": False, "rules": rules})))

    assert calm_returns(rules_of(FeaturesConfig())) == (-0.003, 0.003)
    assert calm(["mid > 1", "return_10s >= 0.1"], ["return_10s > 0.05"], ["return_10s <= -0.2"]) == (-0.2, 0.05)
    assert calm() == (-inf, inf)
    assert calm(["mid > 1"], ["return_10s > 0.1"]) is None
    assert calm(["return_10s == 0.1"]) is None


@given(st.lists(st.sampled_from(["return_10s", "mid"]), min_size=1, max_size=3), st.data())
def test_a_rule_never_holds_where_it_is_said_to_be_calm(features: list[str], data: st.DataObject) -> None:
    numbers = st.sampled_from([-0.02, -0.01, 0.0, 0.005, 0.01])
    when = [f"{name} {data.draw(st.sampled_from(OPS))} {data.draw(numbers)}" for name in features]
    written = {"standard_rules": False, "rules": [{"name": "one", "direction": "long", "when": when}]}
    rules = rules_of(FeaturesConfig.model_validate(written))
    calm, window = calm_returns(rules), Window()
    window.add_trade(trade(1, price="100"))
    window.add_trade(trade(2, price=f"{100 * (1 + data.draw(numbers)):.6f}"))
    change = window.change()

    assert change is not None
    assert calm is None or not calm[0] < change < calm[1] or not rules[0].holds(window)


def test_the_detail_of_an_alert_is_said_in_few_words() -> None:
    made = Alerts(1.0).make("gap", "BTCUSDT", 0, "x" * 100_000)

    assert made is not None
    assert len(made.detail) == WORDS_MAX
