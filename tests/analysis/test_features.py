"""The engine: which venue, what is published when, what is signalled."""

from collections.abc import Iterable

from marketd.analysis.features import Engine
from marketd.analysis.payloads import Alert, Signal
from marketd.analysis.section import FeaturesConfig
from marketd.analysis.windows import SECOND
from marketd.model.events import SYSTEM, Event, Share, Status
from tests.samples import MS, T0, gap, quote, trade


def engine_of(events: Iterable[Event] = (), **config: object) -> Engine:
    engine = Engine(FeaturesConfig.model_validate(config))
    for event in events:
        engine.take(event)
    return engine


def at(second: float, price: str = "100", size: str = "2", **changes: object) -> Event:
    t = T0 + round(second * SECOND)
    return trade(round(second * 1000), price=price, size=size, **{"ts_event": t, "ts_recv": t + 5 * MS, **changes})


def narrow(second: float, **changes: object) -> Event:
    return quote(round(second * 1000), bid="99.99", ask="100.01", **changes)


MOVE = [narrow(0), at(0), at(1, "100.4"), at(2, "100.5")]


def test_a_signal_comes_with_the_event_that_makes_its_condition_true_and_says_why() -> None:
    (signal,) = engine_of(MOVE).drain()

    assert isinstance(signal, Signal)
    assert (signal.symbol, signal.venue, signal.direction, signal.ts) == ("BTCUSDT", "binance", "long", T0 + SECOND)
    assert signal.inputs.keys() == {"return_10s", "trade_volume_10s", "spread_bps"}
    assert signal.quality.warming_up


def test_a_symbol_is_published_at_most_at_its_rate_and_the_latest_value_last() -> None:
    engine = engine_of([at(0)])
    first = engine.due(T0)
    engine.take(at(0.01))
    early, next_ns = engine.due(T0 + 99 * MS), engine.next_due_ns()

    assert (first, early, next_ns) == (["BTCUSDT"], [], T0 + 100 * MS)
    assert engine.due(T0 + 100 * MS) == ["BTCUSDT"]
    assert engine.due(T0 + 999 * MS) == []


def test_a_switch_said_of_one_symbol_leaves_the_others_and_lasts() -> None:
    engine = Engine(FeaturesConfig(), ["binance", "bybit"])
    for event in [at(0), at(0, symbol="ETHUSDT"), Status("bybit", "BTCUSDT", None, T0, "switched", "binance: no data"), at(1)]:
        engine.take(event)

    assert [made.venue for symbol in ("BTCUSDT", "ETHUSDT") if (made := engine.features(symbol))] == ["bybit", "binance"]
    engine.take(Status("binance", "BTCUSDT", None, T0, "switched", "binance has been well for 60 s"))
    assert [made.venue for symbol in engine.symbols if (made := engine.features(symbol))] == ["binance", "binance"]


def test_a_switch_starts_the_window_anew_and_is_said() -> None:
    engine = engine_of([at(0), at(0.5, venue="bybit"), Status("bybit", SYSTEM, None, T0, "switched", "binance: no data")])
    features = engine.features("BTCUSDT")

    assert features is not None
    assert (features.venue, features.features.trade_count_10s, features.quality.switched_from) == ("bybit", None, "binance")
    engine.take(at(1))
    engine.take(at(2, venue="bybit"))
    engine.take(Status("binance", SYSTEM, None, T0, "switched", "binance has been well for 60 s"))
    features = engine.features("BTCUSDT")

    assert features is not None
    assert (features.venue, features.quality.switched_from, engine.others) == ("binance", "bybit", 2)


def test_a_gap_in_the_trades_taints_the_window_and_is_an_alert() -> None:
    engine = engine_of([at(0), gap(5, 9)])
    features = engine.features("BTCUSDT")

    assert features is not None
    assert (features.quality.gap, features.quality.causes, features.quality.ok) == (True, ("ids jumped",), False)
    assert [Alert("gap", "BTCUSDT", T0, "binance: ids jumped")] == engine.drain()


def test_a_past_that_is_read_again_is_neither_published_nor_signalled() -> None:
    engine = engine_of([Share("", SYSTEM, None, T0, "assigned", ["BTCUSDT"]), *MOVE])

    assert (engine.drain(), engine.due(T0)) == ([], [])
    engine.take(Share("", SYSTEM, None, T0, "ready", ["BTCUSDT"]))
    assert engine.due(T0) == ["BTCUSDT"]
    engine.take(Share("", SYSTEM, None, T0, "released", ["BTCUSDT"]))
    assert engine.symbols == []


def test_a_full_queue_is_an_alert() -> None:
    engine = engine_of()
    engine.pressed(0.89, T0)
    engine.pressed(0.9, T0)
    engine.pressed(1.0, T0)

    assert [("backpressure", SYSTEM)] == [(one.kind, one.symbol) for one in engine.drain() if isinstance(one, Alert)]


def test_late_trades_alert_by_their_p95() -> None:
    engine = engine_of([at(0, ts_recv=T0 + 2 * SECOND)])
    (alert,) = engine.drain()

    assert isinstance(alert, Alert)
    assert (alert.kind, alert.detail) == ("latency", "latency_ms_p95 is 2000, the limit is 1000")


def test_a_signal_is_sent_again_only_after_its_cooldown_also_when_the_condition_flickers() -> None:
    flicker = [at(1 + n / 10, "100.4" if n % 2 else "100.2") for n in range(60)]
    signals = engine_of([narrow(0), at(0), *flicker]).drain()

    assert [1.1, 6.1] == [(one.ts - T0) / SECOND for one in signals]


def test_a_quote_can_make_a_condition_true_too() -> None:
    wide = quote(0, bid="99", ask="101")
    engine = engine_of([wide, at(0), at(1, "100.4")])
    before = engine.drain()
    engine.take(narrow(1.5))
    (signal,) = engine.drain()

    assert (before, signal.ts) == ([], T0 + 1_500 * MS)


def test_nothing_is_signalled_while_an_input_is_unknown() -> None:
    assert engine_of([at(0), at(1, "100.4")]).drain() == []  # no quote, so no spread


def test_a_rule_of_ones_own_is_looked_at_though_the_price_stands_still() -> None:
    mine = {"name": "busy", "direction": "short", "when": ["trade_count_10s >= 3", "latency_ms_p50 <= 5"]}
    (signal,) = engine_of([at(0), at(1), at(2)], rules=[mine]).drain()

    assert isinstance(signal, Signal)
    assert (signal.rule, signal.expression) == ("busy", "trade_count_10s >= 3 and latency_ms_p50 <= 5")
    assert signal.inputs == {"trade_count_10s": 3, "latency_ms_p50": 5.0}


def test_without_rules_there_are_no_signals() -> None:
    assert engine_of(MOVE, standard_rules=False).drain() == []


def test_a_pinned_venue_is_not_left_and_the_others_are_counted() -> None:
    engine = engine_of(
        [at(0), at(0.1, venue="bybit"), Status("binance", SYSTEM, None, T0, "switched", "bybit: no data")], provider="bybit"
    )
    features = engine.features("BTCUSDT")

    assert features is not None
    assert (features.venue, features.features.trade_count_10s, engine.others) == ("bybit", 1, 1)


def test_the_first_venue_in_order_that_has_data_has_the_symbol() -> None:
    engine = Engine(FeaturesConfig(), ["binance", "bybit"])
    engine.take_all([at(0, venue="bybit"), at(1), at(2, venue="bybit")])
    features = engine.features("BTCUSDT")

    assert features is not None
    assert (features.venue, features.quality.switched_from, features.features.trade_count_10s) == ("binance", "bybit", 1)


def test_a_hand_back_of_a_switch_that_was_not_seen_waits_for_the_venue_to_speak() -> None:
    engine = engine_of([at(0, venue="bybit"), Status("binance", SYSTEM, None, T0, "switched", "binance has been well for 60 s")])
    before = engine.features("BTCUSDT")
    engine.take(at(1))
    after = engine.features("BTCUSDT")

    assert before is not None
    assert after is not None
    assert (before.venue, after.venue) == ("bybit", "binance")


def test_a_line_that_is_down_is_said_until_a_trade_comes_and_the_window_has_passed() -> None:
    engine = engine_of([at(0), at(70), Status("binance", SYSTEM, None, T0, "disconnected", "reset")])

    def doubts() -> tuple[object, ...]:
        features = engine.features("BTCUSDT")
        assert features is not None
        return features.quality.line, features.quality.causes, features.quality.ok

    assert doubts() == ("disconnected", ("disconnected: reset",), False)
    engine.take(at(71, repaired=True))
    assert doubts()[0] == "disconnected"
    engine.take(at(72))
    assert doubts() == ("connected", ("disconnected: reset",), False)
    engine.take(at(132))
    assert doubts() == ("connected", (), True)


def test_what_was_lost_on_the_way_here_touches_every_window_and_is_an_alert() -> None:
    engine = engine_of([at(0), at(0, symbol="ETHUSDT")])
    engine.taint("slow consumer")

    assert [("gap", "BTCUSDT"), ("gap", "ETHUSDT")] == [
        (one.kind, one.symbol) for one in engine.drain() if isinstance(one, Alert)
    ]
    assert all(made.quality.gap for symbol in engine.symbols if (made := engine.features(symbol)))


def test_symbols_beyond_the_bound_are_counted_and_a_forgotten_one_makes_room() -> None:
    engine = engine_of([at(0), at(0, symbol="ETHUSDT")], symbols_max=1)
    engine.forget(["BTCUSDT"])
    engine.take(at(1, symbol="SOLUSDT"))

    assert (engine.untracked, engine.symbols, engine.due(T0)) == (1, ["SOLUSDT"], ["SOLUSDT"])


def test_the_symbol_that_was_silent_longest_makes_room_once_its_window_is_past() -> None:
    engine = engine_of([at(0), at(20, symbol="B"), at(30, symbol="A"), at(59.9, symbol="REAL")], symbols_max=3)
    assert (engine.untracked, engine.evicted, engine.gone()) == (1, 0, [])
    engine.take(at(59.99, symbol="REAL"))
    engine.take(at(60, symbol="REAL"))
    engine.take(at(61, symbol="A"))

    assert (engine.untracked, engine.evicted, engine.gone()) == (2, 1, ["BTCUSDT"])
    assert engine.symbols == ["B", "A", "REAL"]
    engine.take_all([at(79.9, symbol="C"), at(80, symbol="C")])
    assert (engine.untracked, engine.evicted, engine.symbols) == (3, 2, ["A", "REAL", "C"])


def test_an_impossible_time_evicts_nobody() -> None:
    engine = engine_of([at(0)], symbols_max=1)
    engine.take(at(1, symbol="B", ts_event=1 << 62))

    assert (engine.symbols, engine.evicted) == (["BTCUSDT"], 0)


def test_invented_symbols_do_not_keep_a_real_one_out() -> None:
    engine = engine_of([at(0.001 * number, symbol=f"X{number}") for number in range(2_000)], symbols_max=1_000)
    engine.take_all([at(61 + number, symbol="REAL") for number in range(100)])

    assert engine.features("REAL") is not None
    assert (engine.untracked, len(engine.symbols), engine.evicted) == (1_000, 1_000, 1)


def test_the_latest_are_the_newest_by_event_time() -> None:
    engine = engine_of([at(2), narrow(1), at(1)])
    latest = engine.latest("BTCUSDT")

    assert latest is not None
    assert (latest[0], latest[1], latest[2]) == ("binance", at(2), narrow(1))
    assert engine.latest("ETHUSDT") is None


def test_a_rebuilt_window_says_what_the_old_one_said_and_repeats_no_signal() -> None:
    events = [*MOVE, at(3, "100.5"), narrow(4), at(6.5, "100.5")]
    old, new = engine_of(events), engine_of([Share("", SYSTEM, None, T0, "assigned", ["BTCUSDT"]), *events[:4]])
    new.take(Share("", SYSTEM, None, T0, "ready", ["BTCUSDT"]))
    new.take_all(events[4:])

    assert new.features("BTCUSDT") == old.features("BTCUSDT")
    assert new.drain() == old.drain()[1:]


def test_a_clock_that_was_set_back_does_not_silence_a_symbol() -> None:
    engine = engine_of([at(0)])
    first = engine.due(T0 + 3_600 * SECOND)
    engine.take(at(1))

    assert (first, engine.due(T0)) == (["BTCUSDT"], ["BTCUSDT"])
