"""What the schema says of a candle is what a candle is."""

from marketd.api.rows import EXTRA, KEYS
from marketd.api.schemas import CANDLES, GAPS, SYMBOLS


def test_a_candle_requires_its_ten_keys_and_may_have_three_more() -> None:
    candle = CANDLES[200]["content"]["application/json"]["schema"]["items"]

    assert list(KEYS) == candle["required"]
    assert [*KEYS, *EXTRA] == list(candle["properties"])
    assert not candle["additionalProperties"]


def test_every_answer_says_how_it_may_fail() -> None:
    assert all({400, 404, 503} <= set(one) for one in (CANDLES, GAPS, SYMBOLS))
    assert 304 in CANDLES
