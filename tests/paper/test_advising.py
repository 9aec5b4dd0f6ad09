"""What the trader makes of signals."""

import msgspec

from marketd.model.signals import Signal, SignalQuality
from marketd.paper.advising import advice_of, advices_of
from marketd.paper.section import PaperConfig

HOUR = 3_600_000_000_000
T0 = 1_700_006_400_000_000_000
SIGNAL = Signal(
    "BTCUSDT", "made", "1h", "long", "ribbon_up", ("this", "and that"), "100.10", T0, T0 + HOUR, T0 + HOUR, SignalQuality(True)
)


def test_an_advice_has_the_signals_identity_and_words() -> None:
    found = advice_of(SIGNAL)

    assert (found.id, found.reasons, found.doubt) == (f"made:BTCUSDT:1h:{T0}:ribbon_up", "long by ribbon_up: this; and that", "")
    assert (found.venue, found.symbol, found.direction, found.close_time) == ("made", "BTCUSDT", "long", T0 + HOUR)


def test_a_signal_that_doubts_itself_is_doubted() -> None:
    doubted = msgspec.structs.replace(SIGNAL, quality=SignalQuality(False, "a gap"))
    wordless = msgspec.structs.replace(SIGNAL, quality=SignalQuality(False))

    assert advice_of(doubted).doubt == "a gap"
    assert advice_of(wordless).doubt


def test_a_candle_that_closes_where_none_does_is_doubted() -> None:
    odd = msgspec.structs.replace(SIGNAL, close_time=T0 + 1)

    assert advice_of(odd).doubt == "its candle closes where none of its timeframe does"


def test_other_timeframes_and_other_rules_are_left_alone() -> None:
    slow = msgspec.structs.replace(SIGNAL, timeframe="4h")
    other = msgspec.structs.replace(SIGNAL, rule="squeeze_up")

    assert [one.rule for one in advices_of([SIGNAL, slow, other], PaperConfig())] == ["ribbon_up", "squeeze_up"]
    assert [one.rule for one in advices_of([SIGNAL, slow, other], PaperConfig(rules=("squeeze_up",)))] == ["squeeze_up"]
