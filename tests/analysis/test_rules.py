"""Rules: what they are made of, when a signal is due, how often an alert is."""

from marketd.analysis.rules import Alerts, Edge, rules_of
from marketd.analysis.section import FeaturesConfig
from marketd.analysis.windows import SECOND


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
