"""Each venue against its simulated self, which shares no parsing with it: what the one means is what the other reads."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import httpx
import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from marketd.clock import ManualClock
from marketd.model.events import BookDelta, BookSnapshot, Candle, Event, Quote, Trade
from marketd.model.instruments import Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, timeframe
from marketd.sim import SIM_VENUES, open_sim
from marketd.venues import VENUES
from marketd.venues.notices import Acked, Declined, Notice, Unknown
from marketd.venues.venue import Answer, Line, Request, Span, Venue, Wanted

BOTH = sorted(name for name in VENUES if name in SIM_VENUES and not VENUES[name]({}).dry)
SYMBOLS = ("BTCUSDT", "BTCUSD")
PADDED = {"kraken"}  # recorded: its REST writes 105433.60000 where its stream writes 105433.6
both = pytest.mark.parametrize("name", BOTH)


class Reader(WSListener):
    """Reads each frame by the line as it comes."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.told: list[Event | Notice] = []
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.send(self.line.greet())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.told += self.line.read(frame.get_payload_as_bytes(), 1)

    def send(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            self.transport.send(WSMsgType.TEXT, frame)

    async def settle(self) -> None:
        """Wait until every frame that was sent before this call is read: a ping goes round after them."""
        await asyncio.wait_for(self.transport.measure_roundtrip_time(1), 5.0)


async def ask(url: str, request: Request | None) -> Answer:
    assert request is not None
    async with httpx.AsyncClient() as client:
        got = await client.get(url + request.path, params=dict(request.params), headers=dict(request.headers))
    return Answer(got.status_code, dict(got.headers), got.content)


async def listed(venue: Venue, url: str) -> Instruments:
    answer = await ask(url, venue.instruments_request())
    assert venue.read_refusal(answer) is None
    return Instruments(venue.read_instruments(answer))


@both
async def test_every_channel_is_confirmed_and_says_what_the_simulated_market_did(name: str, clock: ManualClock) -> None:
    venue = VENUES[name]({})
    async with open_sim([name], clock=clock) as sim:
        instruments = await listed(venue, sim.env()[f"{name.upper()}_REST_URL"])
        symbol = next(one for one in SYMBOLS if one in instruments)
        wanted = [Wanted(channel, symbol, "1m" if channel == "candle" else "") for channel in sorted(venue.channels)]
        url = venue.connect_url(sim.env()[f"{name.upper()}_WS_URL"], wanted)
        line = venue.open_line(instruments)
        transport, reader = await ws_connect(lambda: Reader(line), url)
        for _ in range(3):  # greetings and their answers
            await reader.settle()
        assert line.ready
        reader.send(line.subscribe(wanted))
        await reader.settle()
        for _ in range(10):
            sim.step(20)
            sim.tick()
        await reader.settle()
        truth = [(one.trade_id, one.price, one.size, one.side) for one in sim.venue(name).trades(symbol)]
        transport.disconnect()
        told = reader.told
        acked = {one for notice in told if isinstance(notice, Acked) for one in notice.wanted}
        kinds = {Quote, BookDelta if name.startswith("binance") else BookSnapshot} | ({Candle} & {type(one) for one in told})

        assert [one for one in told if isinstance(one, Unknown | Declined)] == []
        assert acked == set(wanted)
        assert [(one.trade_id, one.price, one.size, one.side) for one in told if isinstance(one, Trade)] == truth
        assert truth
        assert kinds <= {type(one) for one in told}
        assert {one.symbol for one in told if isinstance(one, Event)} == {symbol}


@both
async def test_rest_says_what_the_simulated_market_did(name: str, clock: ManualClock) -> None:
    venue = VENUES[name]({})
    async with open_sim([name], clock=clock) as sim:
        url = sim.env()[f"{name.upper()}_REST_URL"]
        instruments = await listed(venue, url)
        instrument = instruments[next(one for one in SYMBOLS if one in instruments)]
        sim.step(200)
        truth = sim.venue(name).trades(instrument.symbol)[-20:]
        span = Span(truth[0].trade_id, truth[-1].trade_id, truth[0].ts_event, truth[-1].ts_event)
        answer = await ask(url, venue.trades_request(instrument, span))
        trades = {one.trade_id: one for one in venue.read_trades(answer, instrument, span, 1).trades}
        now = truth[-1].ts_event
        minutes = Interval(now - now % MINUTE - 30 * MINUTE, now)
        answer = await ask(url, venue.candles_request(instrument, timeframe("1m"), minutes))
        candles = [
            one
            for one in venue.read_candles(answer, instrument, timeframe("1m"), 1)
            if minutes.start <= one.open_time < minutes.stop
        ]

        spelled = Decimal if name in PADDED else str

        assert [
            (spelled(trades[t.trade_id].price), spelled(trades[t.trade_id].size), trades[t.trade_id].side) for t in truth
        ] == [(spelled(t.price), spelled(t.size), t.side) for t in truth]
        assert len(candles) > 20
        assert sorted(one.open_time for one in candles) == [one.open_time for one in candles]
        assert all(one.closed for one in candles[:-1])
        assert all(one.close_time - one.open_time == MINUTE for one in candles)
