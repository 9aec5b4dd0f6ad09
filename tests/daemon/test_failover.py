"""A backup that stands in: silent primary, switch with a reason, hand back, and never a mixed series."""

import asyncio
from pathlib import Path

from marketd.model.events import Status, Trade
from marketd.model.wire import decode_lines
from marketd.sim.server import open_sim
from tests.daemons import eventually

QUICK = {"MARKETD__FAILOVER__SILENCE_S": "1.5", "MARKETD__FAILOVER__RECOVERY_S": "1.5"}


async def test_the_backup_publishes_only_while_the_primary_is_silent(run_daemon, tmp_path: Path) -> None:
    async with open_sim(["binance", "bybit"], rate=300, seed=31) as sim:
        async with run_daemon(sim, environ=QUICK) as running:
            feeds = running.views.feeds
            await eventually(lambda: {row.state for row in feeds.subscriptions() if row.provider == "bybit"} == {"standby"})
            await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") is not None)  # before that, it is starting
            assert feeds.order("BTCUSDT")[0] == "binance"

            sim.fault("binance", "mute", for_s=6.0)
            await eventually(lambda: feeds.order("BTCUSDT")[0] == "bybit")
            await eventually(lambda: running.views.latest.trade("bybit", "BTCUSDT") is not None)
            shown = (await running.get("/latest?symbol=BTCUSDT")).json()
            assert shown["provider"] == "bybit"

            await eventually(lambda: feeds.order("BTCUSDT")[0] == "binance")
            await asyncio.sleep(0)
        events = decode_lines((running.data_dir / "events.jsonl").read_bytes())
    switches = [event for event in events if isinstance(event, Status) and event.state == "switched"]
    during = [event.ts_recv for event in events if isinstance(event, Trade) and event.venue == "bybit" and not event.repaired]

    assert [switch.venue for switch in switches] == ["bybit", "binance"]
    assert "no data for" in switches[0].reason
    assert "has been well for" in switches[1].reason
    assert switches[0].ts_recv <= min(during)
    assert max(during) <= switches[1].ts_recv
