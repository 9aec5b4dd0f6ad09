"""The last 24 hours that the pretend Binance tells."""

from decimal import Decimal
from pathlib import Path

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


async def test_the_day_is_that_of_the_candles(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        sim.step(200)
        (day,) = (await rest.get("/api/v3/ticker/24hr", params={"symbols": '["BTCUSDT"]'})).json()
        alone = (await rest.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"})).json()
        now_ms = sim.venue("binance_us").now_ms()
        minutes = sim.venue("binance_us").candles("BTCUSDT", now_ms // 60_000 * 60_000 - 1439 * 60_000, now_ms + 1)

    assert alone == day
    assert sum(bar.count for _, bar in minutes) == day["count"]
    assert Decimal(day["lowPrice"]) <= Decimal(day["lastPrice"]) <= Decimal(day["highPrice"])
    assert Decimal(day["bidPrice"]) < Decimal(day["askPrice"])
    change = 100 * (Decimal(day["lastPrice"]) - Decimal(day["openPrice"])) / Decimal(day["openPrice"])
    assert Decimal(day["priceChangePercent"]) == change.quantize(Decimal("0.001"))


async def test_the_day_of_recorded_candles_is_their_own(clock: ManualClock, tmp_path: Path) -> None:
    """Of the running one so much as can have happened in half of its hour: open, low, and half of the volume."""
    hour = clock.now_ns() // (3600 * 10**9) * 3_600_000
    await clock.advance(hour / 1000 + 1800 - clock.now_ns() / 10**9)
    opens = [hour - hours * 3_600_000 for hours in (30, 1, 0)]
    rows = zip(opens, ("9.0,9.9,8.9,9.1,5", "10.0,12.5,9.5,11.0,1.50", "11.0,11.5,10.9,11.2,2.50"), strict=True)
    (tmp_path / "BTCUSDT-1h.csv").write_text("".join(f"{at},{text}\n" for at, text in rows))
    async with (
        open_sim(["binance_us"], clock=clock, recording=tmp_path) as sim,
        httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest,
    ):
        day = (await rest.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"})).json()

    assert ("10.0", "12.5", "9.5", "10.9", "2.75", "9.000") == tuple(
        day[key] for key in ("openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "priceChangePercent")
    )
