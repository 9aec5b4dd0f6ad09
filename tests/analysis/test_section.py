"""What can be set about features, and how a rule is written."""

import pytest
from pydantic import ValidationError

from marketd.analysis.section import FeaturesConfig


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
