"""The technical analysis: signals of the last closed candle only, with reasons, the same for the same candles."""

import msgspec

from marketd.analysis.closed import of_cache, of_stored
from marketd.analysis.section import RULE_NAMES, AnalysisConfig
from marketd.analysis.technical import RULES, analyse
from marketd.model.signals import Signal
from tests.analysis.candles import HOUR, SERIES, cached, closed, flat, walk

CONFIG = AnalysisConfig()


def test_without_500_candles_there_is_nothing_but_the_reason() -> None:
    found = analyse(of_stored(SERIES, walk(499)).window(), CONFIG)

    assert (found.quality.ok, found.quality.reason) == (False, "499 closed candles, 500 are needed")
    assert (found.ribbon, found.squeeze, found.stochastic_rsi, found.signals) == (None, None, None, ())


def test_the_cache_and_the_archive_give_the_same_bytes() -> None:
    rows = walk(900, seed=3)
    stored = of_stored(SERIES, rows)
    for end in range(500, 899, 7):
        live = of_cache(SERIES, *cached(rows[end - 500 : end + 1]))

        assert msgspec.json.encode(analyse(live, CONFIG)) == msgspec.json.encode(analyse(stored.window(end), CONFIG))


def signals(seed: int, config: AnalysisConfig = CONFIG) -> list[Signal]:
    stored = of_stored(SERIES, walk(1500, seed))
    return [signal for end in range(500, 1501) for signal in analyse(stored.window(end), config).signals]


def test_every_rule_speaks_in_a_long_walk_and_says_why() -> None:
    found = [signal for seed in (1, 2) for signal in signals(seed)]

    assert {signal.rule for signal in found} == set(RULE_NAMES)
    assert all(signal.reasons and all(signal.reasons) for signal in found)
    assert all(signal.direction == RULES[signal.rule][0] for signal in found)  # type: ignore[index]


def test_a_signal_is_dated_by_its_candle_and_has_its_close() -> None:
    rows = {row.open_time: row for row in walk(1500, 1)}

    for signal in signals(1):
        assert (signal.ts, signal.close_time, signal.price) == (
            signal.close_time,
            signal.open_time + HOUR,
            rows[signal.open_time].close,
        )
        assert signal.quality.ok


def test_a_rule_speaks_once_a_candle() -> None:
    found = signals(1)

    assert len({signal.id for signal in found}) == len(found)


def test_rules_that_are_not_asked_for_are_silent() -> None:
    only = AnalysisConfig(signals=("ribbon_up",))

    assert {signal.rule for signal in signals(1, only)} == {"ribbon_up"}
    assert signals(1, AnalysisConfig(signals=())) == []


def test_what_comes_later_does_not_change_what_was_read() -> None:
    rows = walk(700, 5)
    early, late = of_stored(SERIES, rows[:600]), of_stored(SERIES, rows)

    assert all(analyse(early.window(end), CONFIG) == analyse(late.window(end), CONFIG) for end in range(500, 601, 10))


def test_a_flat_market_says_nothing() -> None:
    found = analyse(closed(flat()), CONFIG)

    assert found.signals == ()
    assert found.ribbon is not None
    assert (found.ribbon.order, found.ribbon.width, set(found.ribbon.values)) == ("mixed", 0.0, {0.1})
