"""Each venue's candle requests and readers against its simulated self: spans, timeframes, thin markets, refusals."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.errors import Refused
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.timeframes import DAY, MINUTE, SECOND, Timeframe, timeframe
from marketd.model.times import ns_of_iso
from marketd.net.governor import Governor, Priority
from marketd.sim import SIM_VENUES, Sim, open_sim
from marketd.sim.venue import SimVenue
from marketd.sim.wire import Request as WireRequest
from marketd.sim.wire import parse_request
from marketd.venues import VENUES
from marketd.venues.venue import Answer, Request, Venue
from tests.venues.test_contract import documented_rows

SETTINGS = {"ALPACA_KEY": "K", "ALPACA_SECRET": "S", "ALPACA_DRY_RUN": "false"}
NEWER, OLDER = {"kraken"}, {"coinbase"}  # rows beyond the span that was asked for may come with it
each_venue = pytest.mark.parametrize("name", sorted(SIM_VENUES))
LENGTHS = {name: [*VENUES[name]({}).timeframes] for name in sorted(SIM_VENUES)}
each_timeframe = pytest.mark.parametrize(("name", "length"), [(name, one) for name in LENGTHS for one in LENGTHS[name]])


@dataclass
class Pair:
    """A venue and its simulated self."""

    venue: Venue
    sim: Sim
    instrument: Instrument
    rest: httpx.AsyncClient

    @property
    def market(self) -> SimVenue:
        return self.sim.venue(self.venue.name)

    async def ask(self, request: Request) -> Answer:
        url = self.sim.env()[f"{self.venue.name.upper()}_REST_URL"] + request.path
        got = await self.rest.get(url, params=dict(request.params), headers=dict(request.headers))
        return Answer(got.status_code, dict(got.headers), got.content)

    async def candles(self, frame: Timeframe, span: Interval) -> list[Candle]:
        answer = await self.ask(self.venue.candles_request(self.instrument, frame, span))
        assert self.venue.read_refusal(answer) is None
        return self.venue.read_candles(answer, self.instrument, frame, 1)

    def truth(self, frame: Timeframe, span: Interval) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        """Open time (ns), open, high, low, close, volume of each interval with a trade."""
        listing = self.market.listings[self.instrument.symbol]
        theirs = self.market.timeframes[self.venue.timeframes[frame.name]]
        found = self.market.rows.bars(listing.symbol, theirs, -(-span.start // 1_000_000), -(-span.stop // 1_000_000) - 1)
        return [
            (
                at * 1_000_000,
                *(Decimal(ticks).scaleb(-listing.price_decimals) for ticks in (bar.open, bar.high, bar.low, bar.close)),
                Decimal(bar.lots).scaleb(-listing.size_decimals),
            )
            for at, bar in found
            if bar is not None
        ]  # type: ignore[return-value]


@asynccontextmanager
async def open_pair(name: str, clock: ManualClock, **settings: object) -> AsyncIterator[Pair]:
    venue = VENUES[name](SETTINGS)
    async with open_sim([name], clock=clock, **settings) as sim, httpx.AsyncClient() as rest:  # type: ignore[arg-type]
        got = venue.instruments_request()
        url = sim.env()[f"{name.upper()}_REST_URL"] + got.path
        answer = await rest.get(url, params=dict(got.params), headers=dict(got.headers))
        listed = venue.read_instruments(Answer(answer.status_code, dict(answer.headers), answer.content))
        yield Pair(venue, sim, listed[0], rest)


def numbers(candle: Candle) -> tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]:
    said = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return candle.open_time, *map(Decimal, said)  # type: ignore[return-value]


@each_timeframe
async def test_every_timeframe_says_what_the_market_did_on_our_grid(name: str, length: str, clock: ManualClock) -> None:
    frame = timeframe(length)
    async with open_pair(name, clock) as pair:
        stop = frame.open_of(frame.open_of(clock.now_ns()) - 1)
        start = stop
        for _ in range(900 if length == "1s" else 7):
            start = frame.open_of(start - 1)
        span = Interval(start, stop)
        candles = [one for one in await pair.candles(frame, span) if start <= one.open_time < stop]
        truth = pair.truth(frame, span)

    assert [numbers(one) for one in candles if Decimal(one.volume)] == truth
    assert len(truth) > 3
    assert all(frame.open_of(one.open_time) == one.open_time for one in candles)
    assert all(one.close_time == frame.close_of(one.open_time) for one in candles)


@each_venue
async def test_a_span_is_half_open_and_rows_beyond_it_come_only_where_the_page_says_so(name: str, clock: ManualClock) -> None:
    frame = timeframe("1m")
    now = clock.now_ns()
    running = frame.open_of(now)
    async with open_pair(name, clock, limits=False) as pair:
        for start, stop in [(running - 30 * MINUTE, running), (running - 30 * MINUTE - 7, running - 9 * MINUTE + 7 * SECOND)]:
            candles = await pair.candles(frame, Interval(start, stop))
            inside = [one for one in candles if start <= one.open_time < stop]

            assert [one.open_time for one in candles if one.open_time >= stop] == [] or name in NEWER
            assert [one.open_time for one in candles if one.open_time < start] == [] or name in OLDER
            assert [numbers(one) for one in inside if Decimal(one.volume)] == pair.truth(frame, Interval(start, stop))
            assert all(one.closed for one in candles[:-1])
            assert not candles[-1].closed


@each_venue
async def test_a_whole_page_is_never_refused(name: str, clock: ManualClock) -> None:
    frame = timeframe("1m")
    running = frame.open_of(clock.now_ns())
    async with open_pair(name, clock) as pair:
        span = Interval(running - (pair.venue.candle_page - 1) * MINUTE, running + MINUTE)
        candles = [one for one in await pair.candles(frame, span) if span.start <= one.open_time < span.stop]

        assert [numbers(one) for one in candles if Decimal(one.volume)] == pair.truth(frame, span)
        assert (len(candles) >= pair.venue.candle_page) == (pair.venue.candle_empty == "zero volume")
        assert pair.market.refused == 0


@each_venue
async def test_what_the_documentation_says_of_order_and_running_candle_is_what_comes(name: str, clock: ManualClock) -> None:
    [(_, _, order, place, _, _)] = documented_rows(name, "rows a call")
    frame = timeframe("1m")
    running = frame.open_of(clock.now_ns())
    async with open_pair(name, clock) as pair:
        pair.market.market.trade(pair.instrument.symbol, clock.now_ns() // 1_000_000)
        request = pair.venue.candles_request(pair.instrument, frame, Interval(running - 20 * MINUTE, running + MINUTE))
        body = json.loads((await pair.ask(request)).body, parse_float=str)
    opens = [int(row[0]) * 1_000_000 for row in SIM_VENUES[name].candle_numbers(body)]

    assert opens == sorted(opens, reverse=order == "newest first")
    assert opens[0 if place == "first row" else -1] == running


@pytest.mark.parametrize("fault", ["wrong_order", "duplicate_rows", "forming_last"])
@each_venue
async def test_pages_in_disorder_are_read_as_if_they_were_in_order(name: str, fault: str, clock: ManualClock) -> None:
    frame = timeframe("1m")
    running = frame.open_of(clock.now_ns())
    span = Interval(running - 100 * MINUTE, running)
    async with open_pair(name, clock) as pair:
        pair.market.market.trade(pair.instrument.symbol, clock.now_ns() // 1_000_000)
        before = await pair.candles(frame, span)
        pair.sim.fault(name, fault)
        candles = await pair.candles(frame, span)

    assert [numbers(one) for one in candles if one.open_time < running] == [numbers(o) for o in before if o.open_time < running]
    assert [one.closed for one in candles] == [True] * (len(candles) - 1) + [False]
    assert candles[-1].open_time == running or fault != "forming_last"


@each_venue
@pytest.mark.parametrize("fault", ["candle_429", "ban", "error500"])
async def test_every_refusal_is_known_as_one_that_passes(name: str, fault: str, clock: ManualClock) -> None:
    frame = timeframe("1m")
    async with open_pair(name, clock) as pair:
        pair.sim.fault(name, fault, nth=1)
        request = pair.venue.candles_request(pair.instrument, frame, Interval(clock.now_ns() - MINUTE, clock.now_ns()))
        refusal = pair.venue.read_refusal(await pair.ask(request))

    assert isinstance(refusal, Refused)
    assert not refusal.permanent
    assert (refusal.retry_after_s > 0) == (fault != "error500")


@each_venue
async def test_who_asks_as_the_governor_allows_is_never_refused(name: str, clock: ManualClock) -> None:
    """Three times as many candle requests as a window of the allowance holds, each sent as soon as it may be."""
    async with open_pair(name, clock) as pair:
        governor = Governor(clock, pair.venue.limits.rest)
        request = pair.venue.candles_request(pair.instrument, timeframe("1m"), Interval(clock.now_ns() - MINUTE, clock.now_ns()))
        quota = pair.venue.limits.rest[request.bucket]
        asked, began = as_it_arrives(request), clock.monotonic()

        async def ask_all() -> None:
            for _ in range(3 * quota.weight // request.weight):
                await governor.turn(request.weight, Priority.BACKFILL, request.bucket)
                pair.market.rest(asked)

        asking = asyncio.ensure_future(ask_all())
        while not asking.done():
            await clock.advance(quota.per_s / 20)
        await asking

        assert pair.market.refused == 0
        assert clock.monotonic() - began > quota.per_s


def as_it_arrives(request: Request) -> WireRequest:
    target = httpx.Request("GET", f"http://sim{request.path}", params=dict(request.params)).url.raw_path.decode()
    headers = "".join(f"{key}: {value}\r\n" for key, value in {"User-Agent": "x", **request.headers}.items())
    arrived = parse_request(f"GET {target} HTTP/1.1\r\n{headers}".encode())
    assert arrived is not None
    return arrived


@pytest.mark.parametrize("name", sorted(VENUES))
@given(start=st.integers(0, 40 * 365 * DAY), count=st.integers(1, 300), into=st.integers(0, MINUTE - 1))
def test_a_request_asks_for_open_times_in_the_span_and_for_no_others(name: str, start: int, count: int, into: int) -> None:
    venue, frame = VENUES[name](SETTINGS), timeframe("1m")
    span = Interval(start, start + count * MINUTE + into)
    request = venue.candles_request(Instrument(name, "BTCUSD", "BTC-USD", "BTC", "USD"), frame, span)
    bounds = [request.params[key] for key in ("startTime", "endTime", "start", "end") if key in request.params]

    if name == "kraken":  # knows no end, and leaves out the row that opens at `since`
        first = frame.open_of(span.start + MINUTE - 1)
        assert span.start // SECOND - 1 <= int(request.params["since"]) < max(1, first // SECOND)
        return
    first, last = (ns(text) for text in bounds)
    assert span.start <= first <= last or last < span.stop
    assert last < span.stop or frame.open_of(last) <= first
    assert first < span.start + MINUTE


def ns(text: str) -> int:
    return int(text) * 1_000_000 if text.isdigit() else ns_of_iso(text)


def test_the_page_of_the_documentation_lists_every_venue() -> None:
    documented = {name for name in VENUES if documented_rows(name, "rows a call")}

    assert documented == set(VENUES)
