"""What the features say to the outside has exactly the names that consumers know."""

import re
from pathlib import Path

import msgspec
import yaml

from marketd.analysis.payloads import NAMES, Alert, Features, Quality, Signal, Values
from marketd.analysis.section import FeaturesConfig


def keys(value: object) -> list[str]:
    return list(msgspec.json.decode(msgspec.json.encode(value)))


def test_the_eleven_have_their_names_and_are_null_where_nothing_is_known() -> None:
    wire = msgspec.json.decode(msgspec.json.encode(Values()))

    assert wire == dict.fromkeys(NAMES)
    assert list(NAMES) == [
        "mid", "spread_abs", "spread_bps", "trade_vwap_10s", "trade_vwap_60s", "trade_count_10s", "trade_volume_10s",
        "return_10s", "realized_vol_60s", "latency_ms_p50", "latency_ms_p95",
    ]  # fmt: skip


def test_the_venue_is_called_provider_outside() -> None:
    features = Features("BTCUSDT", "binance", 7, Values(), Quality())
    signal = Signal("BTCUSDT", "binance", "long", 7, "rule", "mid > 1", {"mid": 2.0}, Quality())

    assert ["symbol", "provider", "ts", "features", "quality"] == keys(features)
    assert ["symbol", "provider", "direction", "ts", "rule", "expression", "inputs", "quality"] == keys(signal)
    assert ["kind", "symbol", "ts", "detail"] == keys(Alert("gap", "BTCUSDT", 7, "why"))


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "features.md").read_text()


def test_the_examples_on_the_page_are_what_is_sent() -> None:
    examples = [msgspec.json.decode(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    kinds = [Features, Signal, Alert]

    for example, kind in zip(examples, kinds, strict=True):
        assert msgspec.json.decode(msgspec.json.encode(msgspec.convert(example, kind))) == example


def test_the_rules_on_the_page_are_taken_as_they_stand() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = FeaturesConfig.model_validate(yaml.safe_load(text)["features"])

    assert [len(rule.when) for rule in config.rules] == [3]


def test_the_page_has_every_feature_and_every_word_of_quality() -> None:
    missing = [name for name in (*NAMES, *Quality.__struct_fields__) if f"`{name}`" not in PAGE]

    assert missing == []
