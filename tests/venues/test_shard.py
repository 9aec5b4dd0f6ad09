"""A connection's share kept alive: reconnected, refused, replaced before a cut."""

import asyncio

import pytest
import structlog

from marketd.metrics import Metrics
from marketd.net.capture import Recorder
from marketd.sim import open_sim
from marketd.venues import shard
from marketd.venues.venue import Wanted
from tests.daemons import eventually
from tests.net.test_websocket import listening, speaking
from tests.venues.live import Live, live

BTC = Wanted("trade", "BTCUSDT")
ETH = Wanted("trade", "ETHUSDT")


def reconnects(metrics: Metrics, venue: str, why: str) -> float:
    return float(metrics.reconnects.labels(venue, why)._value.get())


async def after_replacement(here: Live) -> None:
    first = here.feed.shards[0].connection
    assert first is not None
    first._want_successor("the venue will cut it")
    await eventually(lambda: here.feed.shards[0].connection is not first and not first.is_open)


async def test_a_connection_is_replaced_before_a_cut_without_a_gap_or_a_repeat() -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", [BTC]) as here:
        await here.until_confirmed()
        await here.step()
        await after_replacement(here)
        await here.step()
        published = [one.trade_id for one in here.trades()]

        assert published == [one.trade_id for one in sim.venue("binance").trades("BTCUSDT")][-len(published) :]
        assert here.gaps() == []
        assert here.statuses("disconnected") == []
        assert here.feed.connections_open == 1
        assert reconnects(here.metrics, "binance", "ahead of a cut") == 1
        assert here.feed.reconnects == 0


async def test_a_refused_handshake_is_tried_again_and_not_before_the_venue_allows() -> None:
    async with (
        open_sim(["binance"], faults="refuse:on=ws,status=503,for=1s,retry_after=1") as sim,
        live(sim, "binance", [BTC]) as here,
    ):
        await eventually(lambda: here.feed.reconnects >= 1)
        assert "503" in here.statuses("disconnected")[0].reason
        await here.until_confirmed()

        assert reconnects(here.metrics, "binance", "lost") >= 1


async def test_a_subscription_that_the_venue_refuses_for_good_is_asked_once_and_the_rest_lives() -> None:
    recorder = Recorder()
    eth = Wanted("trade", "ETHUSDT")
    async with open_sim(["bybit"]) as sim:
        sim.fault("bybit", "error", symbol="BTCUSDT", for_s=1000.0)
        async with live(sim, "bybit", [BTC, eth], capture=recorder) as here:
            await eventually(lambda: here.states().get(BTC) == "refused")
            await eventually(lambda: here.states().get(eth) in ("pending", "live"))
            sent = [line for line in recorder.take().splitlines() if b'"k":"out"' in line and b"BTCUSDT" in line]

            assert len(sent) <= 3
            assert here.feed.connections_open == 1


async def reconnected(here: Live) -> None:
    """Its connection ends, and the next one has its answers."""
    before = here.feed.shards[0].connection
    assert before is not None
    before.close("ended by the test")
    await eventually(lambda: here.feed.shards[0].connection not in (None, before))
    await eventually(lambda: here.states().get(ETH) == "live")


def asked_for(recorder: Recorder, symbol: str) -> int:
    """Subscriptions sent since this was last asked."""
    lines = recorder.take().splitlines()
    return sum(b'"k":"out"' in line and b"subscribe" in line and symbol.encode() in line for line in lines)


async def test_what_the_venue_refused_is_not_asked_for_with_every_new_connection() -> None:
    recorder = Recorder()
    async with open_sim(["bybit"], rate=100) as sim:
        sim.fault("bybit", "error", symbol="BTCUSDT", for_s=1000.0)
        async with live(sim, "bybit", [BTC, ETH], capture=recorder) as here:
            await eventually(lambda: here.states().get(BTC) == "refused")
            assert asked_for(recorder, "BTCUSDT") > 0
            for _ in range(2):
                await reconnected(here)

            assert asked_for(recorder, "BTCUSDT") == 0
            assert here.states()[BTC] == "refused"


async def test_what_the_venue_refused_is_asked_for_again_after_a_while_without_a_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shard, "ASK_AGAIN_S", 0.5)
    monkeypatch.setattr(shard, "LOOK_S", 0.1)
    async with open_sim(["bybit"], rate=100) as sim:
        sim.fault("bybit", "error", symbol="BTCUSDT", for_s=1000.0)
        async with live(sim, "bybit", [BTC, ETH]) as here:
            await eventually(lambda: here.states().get(BTC) == "refused")
            sim.heal()
            await eventually(lambda: here.states().get(BTC) == "live")

            assert here.feed.reconnects == 0


async def test_with_everything_refused_it_waits_instead_of_connecting_again_and_again() -> None:
    async with open_sim(["bybit"], rate=100) as sim:
        sim.fault("bybit", "error", symbol="BTCUSDT", for_s=1000.0)
        async with live(sim, "bybit", [BTC]) as here:
            await eventually(lambda: here.states().get(BTC) == "refused")
            first = here.feed.shards[0].connection
            assert first is not None
            first.close("ended by the test")
            await eventually(lambda: here.feed.reconnects == 1)
            await asyncio.sleep(2.5)  # longer than the backoff's first wait

            assert here.feed.connections == {}
            here.feed.want([BTC, ETH])
            await eventually(lambda: here.states().get(ETH) == "live")


@pytest.mark.parametrize("fault", ["cut", "disconnect"])
async def test_every_kind_of_end_is_followed_by_a_new_connection(fault: str) -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", [BTC]) as here:
        await here.until_confirmed()
        await here.step()
        old = here.sessions[0]
        sim.fault("binance", fault)
        await eventually(lambda: here.sessions not in ([], [old]))
        await here.until_confirmed()
        await here.step()


async def test_a_venue_that_breaks_the_protocol_is_one_warning_with_code_and_place_and_is_dialled_again() -> None:
    with structlog.testing.capture_logs() as lines:
        async with (
            open_sim(["binance"]) as sim,
            listening(speaking(b"\x83\x00")) as url,
            live(sim, "binance", [BTC], stream=url) as here,
        ):
            await eventually(lambda: here.feed.reconnects >= 2)

            assert here.metrics.frames_bad.labels("binance", "protocol")._value.get() == here.feed.reconnects
    said = [line for line in lines if line["event"] == "binance.reconnecting"]

    assert {(line["log_level"], line["code"], line["venue"], line["close_code"]) for line in said} == {
        ("warning", "feed-protocol", "binance", 1002)
    }
    assert said[0]["url"].startswith(url)
    assert "invalid opcode" in said[0]["reason"]
    assert [line for line in lines if "exc_info" in line] == []
