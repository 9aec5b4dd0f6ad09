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
