"""The sample config, as it stands, on both stores: the venue refuses nothing, and every minute is accounted for."""

from pathlib import Path
from typing import Any

import pytest

from marketd.history.planning import open_spans
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, timeframe
from marketd.sim import open_sim
from tests.daemons import eventually
from tests.samples import SAMPLE_CONFIG

SAMPLE = SAMPLE_CONFIG.replace("backfill_days: 365", "backfill_days: 3")
SERIES = [
    CandleSeries("bitfinex", symbol, frame) for symbol in ("BTCUSD", "ETHUSD", "SOLUSD") for frame in ("1m", "5m", "1h", "1d")
]


@pytest.mark.soak
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
async def test_three_days_of_the_sample_config_are_complete_and_nothing_was_refused(
    run_daemon: Any, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}" if store == "sqlite" else str(request.getfixturevalue("postgres_url"))
    (tmp_path / "config.yaml").write_text(SAMPLE)
    environ = {"DATABASE_URL": url, "HTTP_HOST": "127.0.0.1"}
    async with (
        open_sim(["bitfinex"], rate=20, symbols=["BTCUSD", "ETHUSD", "SOLUSD"]) as sim,
        run_daemon(sim, profile="candle-archive", environ=environ) as running,
    ):
        keeper = running.views.archive.keeper
        await eventually(lambda: all(one.due_s > running.views.clock.monotonic() + 60 for one in keeper.kept), 240)
        now = running.views.clock.now_ns()
        left = {}
        for series in SERIES:
            frame = timeframe(series.timeframe)
            newest = (await running.views.archive.archive.candles(series, 0, 2**62, limit=1, newest=True))[0].open_time
            span = Interval(frame.open_of(now - 3 * DAY) + (frame.step or 0), min(newest, frame.open_of(now - 120 * 10**9)))
            left[series] = open_spans(await running.views.archive.archive.ledger(series), span) if span.length > 0 else []
        status = (await running.get("/status")).json()["series"]
        health = (await running.get("/health")).json()["components"]["archive"]
        refused = sim.venue("bitfinex").refused

    assert {series: [] for series in SERIES} == left
    assert 0 == refused
    assert {tuple(series) for series in SERIES} == {(row["exchange"], row["symbol"], row["timeframe"]) for row in status}
    assert "ok" == health["status"]
