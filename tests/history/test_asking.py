"""Asking a venue and an archive until there is an answer."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from marketd.clock import ManualClock
from marketd.errors import BadFrame, ConfigError, DeliveryError, Disconnected, Refused, StartError
from marketd.history.asking import UNREADABLE_TRIES, Asking
from marketd.history.job import Progress
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, timeframe
from tests.history.desks import Rooms, driven, rooms

SERIES = CandleSeries("binance", "BTCUSDT", "1m")
M1 = timeframe("1m")


class Watch:
    """An asker, and what whoever watches was told."""

    def __init__(self, here: Rooms, tries: int | None = None) -> None:
        self.here, self.progress, self.told = here, Progress(SERIES, 1), list[str]()
        self.asking = Asking(here.desk, here.clock, lambda progress: self.told.append(progress.waiting), tries)

    async def page(self) -> int:
        """How many candles the venue gave."""
        now = self.here.clock.now_ns()
        instrument = await self.asking.instrument("BTCUSDT")
        span = Interval(M1.open_of(now - DAY), M1.open_of(now - DAY) + 10 * M1.step)
        return len(await self.asking.candles(instrument, M1, span, self.progress))


async def test_a_venue_that_has_troubles_is_asked_again_and_who_watches_is_told_why(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path, "error500:count=2") as here:
        watch = Watch(here)

        assert 10 == await driven(clock, watch.page())
        assert 3 == watch.progress.requests
        assert 2 == len(watch.told)
        assert all("500" in why for why in watch.told)


async def test_a_venue_that_is_away_is_given_up_after_so_many_tries_where_that_is_wanted(
    clock: ManualClock, tmp_path: Path
) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        watch = Watch(here, tries=3)

        async def away(*_: object) -> list[Candle]:
            raise Disconnected("binance: no connection")

        here.desk.ask = away  # type: ignore[method-assign]
        with pytest.raises(StartError, match="no connection; given up after 3 tries"):
            await driven(clock, watch.page())

        assert 3 == watch.progress.requests


async def test_an_answer_that_stays_unreadable_is_asked_for_a_few_times(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        watch = Watch(here)

        async def unreadable(*_: object) -> list[Candle]:
            raise BadFrame("binance", b"<html>", "no JSON")

        here.desk.ask = unreadable  # type: ignore[method-assign]
        with pytest.raises(BadFrame):
            await driven(clock, watch.page())

        assert UNREADABLE_TRIES == watch.progress.requests


async def test_what_is_refused_for_good_is_not_asked_for_again(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        watch = Watch(here)
        with pytest.raises(ConfigError, match="binance does not list 'NOPE'"):
            await driven(clock, watch.asking.instrument("NOPE"))
        gone = replace(await watch.asking.instrument("BTCUSDT"), venue_symbol="NOPE")
        with pytest.raises(Refused):
            await driven(clock, watch.asking.candles(gone, M1, Interval(0, M1.step), watch.progress))

        assert 1 == watch.progress.requests


async def test_an_archive_that_is_away_is_asked_until_it_is_back(clock: ManualClock, tmp_path: Path) -> None:
    answers = iter([DeliveryError("disk full"), DeliveryError("disk full"), 7])

    async def ask() -> int:
        answer = next(answers)
        if isinstance(answer, DeliveryError):
            raise answer
        return answer

    async with rooms("binance", clock, tmp_path) as here:
        watch = Watch(here)

        assert 7 == await driven(clock, watch.asking.stored(ask, watch.progress))
        assert ["disk full", "disk full"] == watch.told
