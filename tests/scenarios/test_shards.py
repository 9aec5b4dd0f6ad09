"""Two collectors, each with its shard of the symbols of one venue: together they have every symbol, and none twice."""

from pathlib import Path
from typing import Any

from marketd.sim import open_sim
from tests.daemons import Running, eventually

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT", "LINKUSDT")


def collected(daemon: Running) -> set[str]:
    """Symbols of which a trade came."""
    latest = daemon.views.latest
    assert latest is not None
    return {symbol for symbol in SYMBOLS if latest.trade("binance", symbol) is not None}


async def test_two_shards_collect_every_symbol_once(run_daemon: Any, tmp_path: Path) -> None:
    symbols = {"MARKETD__EXCHANGES__BINANCE__SYMBOLS": ",".join(SYMBOLS), "MARKETD__EXCHANGES__BYBIT__ENABLED": "false"}
    async with (
        open_sim(["binance"], rate=400, symbols=SYMBOLS) as sim,
        run_daemon(sim, environ={**symbols, "MARKETD__SHARD": "1/2"}, data_dir=tmp_path / "1") as one,
        run_daemon(sim, environ={**symbols, "MARKETD__SHARD": "2/2"}, data_dir=tmp_path / "2") as other,
    ):
        await eventually(lambda: collected(one) | collected(other) == set(SYMBOLS))
        pairs = [set((await daemon.get("/pairs")).json()["pairs"]) for daemon in (one, other)]
        shares = [collected(daemon) for daemon in (one, other)]

    assert pairs == shares
    assert set() == shares[0] & shares[1]
    assert all(shares)
