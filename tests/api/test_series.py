"""Each series is told with its reach, its gaps, its last job and how late it is."""

from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec
import pytest

from marketd.api.series import FRESH_S, SeriesStatus
from marketd.api.views import Views
from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Archive
from tests.api.conftest import FIRST, SERIES, candle, fill


@dataclass
class Kept:
    series: CandleSeries
    failing: str = ""
    progress: Any = None


@dataclass
class Part:
    """Keeper and LiveCandles, as far as they are looked at."""

    kept: list[Kept] = field(default_factory=list)
    last: dict[CandleSeries, Candle] = field(default_factory=dict)

    @property
    def keeper(self) -> "Part":
        return self

    live = keeper


async def archive_of(views: Views) -> Archive:
    assert views.stored is not None
    found = await views.stored.opened()
    assert found is not None
    return found


async def test_a_stored_series_has_its_reach_and_its_gaps(client: httpx.AsyncClient, views: Views) -> None:
    archive = await archive_of(views)
    job = await archive.job_started(SERIES, Interval(FIRST, FIRST + 60 * MINUTE), newest_first=True)
    await archive.job_ended(job, "no answer")
    await archive.settle(SERIES, [Stretch(FIRST + 30 * MINUTE, FIRST + 33 * MINUTE, "missing", "fetch failed", FIRST)])
    (found,) = (await client.get("/status")).json()["series"]

    assert ("bitfinex", "BTCUSD", "1m") == (found["exchange"], found["symbol"], found["timeframe"])
    assert ("2024-11-14T17:30:00+00:00", "2024-11-14T17:54:00+00:00") == (found["first"], found["last"])
    assert (25, 3, 3, 0, 0) == tuple(found[name] for name in ("count", "gaps", "missing", "unrecoverable", "known_empty"))
    assert ("failed", "no answer") == (found["last_job"]["status"], found["last_job"]["last_error"])
    assert (False, 0) == (found["live"], found["lag_ms"])


async def test_a_live_series_is_as_late_as_its_stream(views: Views, clock: ManualClock) -> None:
    now = clock.now_ns() // MINUTE * MINUTE
    streamed = CandleSeries("binance", "BTCUSDT", "1m")
    silent = streamed._replace(symbol="ETHUSDT")
    last = {
        streamed: replace_times(candle(0, streamed), now),
        silent: replace_times(candle(0, silent), now - 10 * MINUTE),
    }
    part = Part([Kept(streamed, "no answer"), Kept(silent)], last)
    found = await SeriesStatus(replace(views, archive=part)).rows()  # type: ignore[arg-type]
    shown = {one["symbol"]: (one["live"], one["count"], one["reason"]) for one in found}

    assert {
        "BTCUSDT": (True, 0, "no answer"),
        "ETHUSDT": (False, 0, ""),
        "BTCUSD": (False, 25, "stored, not kept here"),
    } == shown
    assert found[1]["lag_ms"] >= 9 * 60_000


def replace_times(one: Candle, opens: int) -> Candle:
    return msgspec.structs.replace(one, open_time=opens, close_time=opens + MINUTE, closed=False)


async def test_one_look_answers_everybody_for_a_while(views: Views, clock: ManualClock) -> None:
    status = SeriesStatus(replace(views, clock=clock))
    archive = await archive_of(views)
    counts = []
    for minute in (25, 26):
        await fill(archive, minute, minute + 1)
        counts.append((await status.rows())[0]["count"])
    await clock.advance(FRESH_S)
    counts.append((await status.rows())[0]["count"])

    assert [26, 26, 27] == counts


async def test_an_archive_that_is_away_leaves_the_rest_of_the_page(
    client: httpx.AsyncClient, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise DeliveryError("archive: no connection")

    monkeypatch.setattr(await archive_of(views), "summary", away)
    found = (await client.get("/status")).json()

    assert ([], "archive: no connection") == (found["series"], found["series_error"])
    assert found["subscriptions"]
