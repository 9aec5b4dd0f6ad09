"""Receiving: frames of a simulated Binance over a WebSocket, decoded and handed over, against picows and a counter alone."""

import asyncio
import statistics
import time
from collections.abc import Callable

import uvloop
from picows import WSFrame, WSListener, WSTransport, ws_connect

from bench.processes import VENUE, Simulated, simulated
from bench.rounds import Row, faster
from marketd.model.instruments import Instruments
from marketd.net import websocket
from marketd.venues import VENUES
from marketd.venues.venue import Wanted

SYMBOL = "BTCUSDT"
EVENTS, ROUNDS = 30_000, 7
SHARE_MIN = 0.25


class Counter(WSListener):
    """Nothing but counting."""

    frames = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1


def run() -> list[Row]:
    with simulated([SYMBOL]) as venue:
        return uvloop.run(_turns(venue))


async def _turns(venue: Simulated) -> list[Row]:
    base = venue.env()[f"{VENUE.upper()}_WS_URL"]
    url = VENUES[VENUE]({}).connect_url(base, [Wanted("trade", SYMBOL), Wanted("quote", SYMBOL)])
    took: dict[str, list[float]] = {"picows": [], "ours": []}
    for turn in range(ROUNDS + 1):
        for name, side in (("picows", _bare), ("ours", _decoded)):
            per_frame = await side(venue, url)
            if turn:
                took[name].append(per_frame)
    path, ours, bare = "WebSocket receive + decode + callback", took["ours"], took["picows"]
    note = f"{statistics.median(ours) * 1e6:.2f} us a frame, of which picows {statistics.median(bare) * 1e6:.2f}"
    return [faster(path, ours, "bare picows", bare, SHARE_MIN, note)]


async def _bare(venue: Simulated, url: str) -> float:
    transport, counter = await ws_connect(Counter, url)
    assert isinstance(counter, Counter)
    try:
        return await _flooded(venue, lambda: counter.frames)
    finally:
        transport.disconnect()


async def _decoded(venue: Simulated, url: str) -> float:
    frames, events = 0, 0
    read = VENUES[VENUE]({}).open_line(Instruments()).read

    def on_message(frame: bytes) -> None:
        nonlocal frames, events
        frames += 1
        events += len(read(frame, time.time_ns()))

    socket = await websocket.connect(url, on_message)
    try:
        took = await _flooded(venue, lambda: frames)
    finally:
        socket.close()
    assert events >= frames
    return took


async def _flooded(venue: Simulated, count: Callable[[], int]) -> float:
    """Seconds of this thread's processor for each frame, which does not count the waiting for the sender."""
    flood = asyncio.create_task(asyncio.to_thread(venue.flood, EVENTS, None))
    begun_s = time.thread_time()
    sent = (await flood).frames
    while count() < sent:  # they are on their way
        await asyncio.sleep(0.001)
    return (time.thread_time() - begun_s) / sent
