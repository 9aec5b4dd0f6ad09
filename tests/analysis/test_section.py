"""What can be set about features, and how a rule is written."""

import pytest
from pydantic import ValidationError

from marketd.analysis.section import RULE_NAMES, AnalysisConfig, FeaturesConfig


def test_the_defaults_are_those_that_were_promised() -> None:
    config = FeaturesConfig()

    assert (config.provider, config.rate_hz_max, config.window_s) == ("primary", 10, 60)
    assert (config.signal_return, config.signal_volume, config.signal_spread_bps) == (0.003, 1, 20)
    assert (config.alert_latency_ms, config.alert_fill) == (1000, 0.9)
    assert [name for name, field in FeaturesConfig.model_fields.items() if not field.description] == []


def test_a_condition_is_a_mapping_or_a_line_of_text() -> None:
    written = {"name": "calm", "direction": "long", "when": ["return_10s > 1e-3", {"feature": "mid", "op": "<=", "value": 7}]}
    (rule,) = FeaturesConfig.model_validate({"rules": [written]}).rules

    assert [("return_10s", ">", 0.001), ("mid", "<=", 7)] == [(one.feature, one.op, one.value) for one in rule.when]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"when": ["retrun_10s > 1"]}, "'retrun_10s' is no feature; there are: mid, spread_abs"),
        ({"when": ["return_10s>1"]}, "expected FEATURE OP NUMBER with spaces between"),
        ({"when": ["return_10s != 1"]}, "'>', '>=', '<', '<=' or '=='"),
        ({"when": ["return_10s > much"]}, "valid number"),
        ({"when": ["return_10s > inf"]}, "finite"),
        ({"when": []}, "at least 1 item"),
        ({"direction": "up"}, "'long' or 'short'"),
        ({"name": ""}, "at least 1 character"),
        ({"name": "momentum_long"}, "momentum_long is there twice"),
        ({"size": 1}, "Extra inputs"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_in_words(rule: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FeaturesConfig.model_validate({"rules": [{"name": "mine", "direction": "long", "when": ["mid > 1"], **rule}]})


@pytest.mark.parametrize("key", ["rate_hz_max", "window_s", "signal_return", "alert_fill", "symbols_max"])
def test_what_cannot_work_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        FeaturesConfig.model_validate({key: -1})


def test_a_name_is_free_again_when_the_standard_rules_are_off() -> None:
    mine = {"name": "momentum_long", "direction": "long", "when": ["mid > 1"]}

    assert FeaturesConfig.model_validate({"standard_rules": False, "rules": [mine]}).rules[0].name == "momentum_long"


def test_the_analysis_begins_with_the_periods_of_its_page() -> None:
    config = AnalysisConfig()

    assert (config.ribbon, config.squeeze_period, config.squeeze_bollinger, config.squeeze_keltner) == (
        (8, 13, 21, 34, 55),
        20,
        2.0,
        1.5,
    )
    assert (config.stochastic_rsi_period, config.stochastic_period, config.stochastic_k, config.stochastic_d) == (14, 14, 3, 3)
    assert (config.rsi_period, config.bollinger_period, config.bollinger_deviations, config.vwap_candles) == (14, 20, 2.0, 24)
    assert (config.timeframes, config.scanner_timeframe, config.signals) == (("5m", "1h", "4h"), "1h", RULE_NAMES)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"timeframes": "5m,9x"}, "is no timeframe"),
        ({"scanner_timeframe": "soon"}, "is no timeframe"),
        ({"ribbon": (13, 8)}, "periods that rise"),
        ({"ribbon": (8, 8)}, "periods that rise"),
        ({"signals": ("moon",)}, "ribbon_up"),
        ({"score_rsi_weight": 0, "score_bollinger_weight": 0, "score_vwap_weight": 0}, "one must be above"),
        ({"score_vwap_full": 1, "score_vwap_none": 1}, "score_vwap_full and score_vwap_none"),
        ({"stochastic_low": 80, "stochastic_high": 20}, "stochastic_low must be below"),
        ({"squeeze_bollinger": "nan"}, "finite"),
    ],
)
def test_settings_of_the_analysis_that_cannot_work_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AnalysisConfig.model_validate(settings)


def test_lists_may_be_words_with_commas_as_the_environment_has_them() -> None:
    config = AnalysisConfig.model_validate({"ribbon": "5, 10", "signals": "ribbon_up,ribbon_down"})

    assert (config.ribbon, config.signals) == ((5, 10), ("ribbon_up", "ribbon_down"))
