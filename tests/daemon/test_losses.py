"""Gaps and drops are lines of the log."""

from collections import Counter

from structlog.testing import capture_logs

from marketd.bus import Bus, Full
from marketd.clock import ManualClock
from marketd.daemon.losses import EVERY_S, run_losses, say_drops, say_gaps
from marketd.metrics import Metrics
from marketd.model.events import Gap, Heartbeat
from marketd.sim.server import open_sim
from tests.daemons import eventually


def gap(symbol: str, state: str, channel: str = "trade", cause: str = "ids jump") -> Gap:
    return Gap("binance", symbol, None, 1, channel, state, "5", "9", None, None, cause)


def test_a_gap_is_a_warning_with_what_is_missing() -> None:
    with capture_logs() as lines:
        say_gaps([gap("BTCUSDT", "found")])

    assert [(one["event"], one["log_level"], one["symbol"], one["from_id"], one["to_id"]) for one in lines] == [
        ("feed.gap", "warning", "BTCUSDT", "5", "9")
    ]


def test_its_end_is_said_too() -> None:
    with capture_logs() as lines:
        say_gaps([gap("BTCUSDT", "filled"), gap("ETHUSDT", "unrecoverable", cause="too old")])

    assert [(one["event"], one["log_level"]) for one in lines] == [
        ("feed.gap_filled", "info"),
        ("feed.gap_unrecoverable", "error"),
    ]


def test_gaps_of_many_symbols_for_one_cause_are_one_line() -> None:
    with capture_logs() as lines:
        say_gaps([gap(f"S{number}", "found", "book", "the connection ended") for number in range(30)])

    assert [(one["event"], one["log_level"], len(one["symbols"]), one["of"]) for one in lines] == [("feed.gap", "info", 10, 30)]


def test_what_a_consumer_lost_is_said_once() -> None:
    bus = Bus(Metrics())
    with bus.subscribe("slow", full=Full.SHED, capacity=2) as slow, capture_logs() as lines:
        bus.publish([Heartbeat("binance", "__system__", None, number, "silence") for number in range(5)])
        before = say_drops([slow], {})
        before = say_drops([slow], before)

    assert [(one["event"], one["consumer"]) for one in lines] == [("bus.dropped", "slow")]
    assert before == {"slow": Counter(slow.dropped)}


async def test_both_are_said_of_a_bus_as_it_runs(clock: ManualClock) -> None:
    bus = Bus(Metrics())
    with capture_logs() as lines, bus.subscribe("slow", full=Full.SHED, capacity=1):
        async with run_losses(bus, clock):
            bus.publish([gap("BTCUSDT", "found")])
            bus.publish([Heartbeat("binance", "__system__", None, number, "silence") for number in range(9)])
            await clock.advance(2 * EVERY_S)

    assert {"feed.gap", "bus.dropped"} == {one["event"] for one in lines}


async def test_a_gap_of_a_venue_is_found_and_filled_in_the_log(run_daemon) -> None:
    with capture_logs() as lines:
        async with open_sim(["binance", "bybit"], rate=200, seed=12) as sim, run_daemon(sim) as running:
            await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") is not None)
            sim.fault("binance", "gap", symbol="BTCUSDT", channel="trade", count=3)
            await eventually(lambda: {"feed.gap", "feed.gap_filled"} <= {one["event"] for one in lines})
    found = next(one for one in lines if one["event"] == "feed.gap")

    assert (found["venue"], found["log_level"]) == ("binance", "warning")
