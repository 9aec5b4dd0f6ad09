"""A real daemon on a simulated venue, and who listens to it: what is streamed is what is stored, over breaks and a restart."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.crowd import Member, join
from marketd.api.server import listen
from marketd.client import Broken, Channel, Connected, MarketDataClient, Missed, Streamed
from marketd.model.events import Trade
from marketd.sim.server import open_sim
from tests.api.stream.conftest import listening
from tests.daemons import Running, eventually
from tests.line import laid
from tests.scenarios.processes import run_process

SYMBOL = "BTCUSDT"
RunDaemon = Callable[..., AbstractAsyncContextManager[Running]]


async def stored(running: Running) -> dict[str, str]:
    """Prices by trade id."""
    rows = (await running.get(f"/trades?symbol={SYMBOL}&limit=10000")).json()
    return {one["trade_id"]: one["price"] for one in rows}


@pytest.mark.timeout(200)
async def test_what_is_streamed_is_what_is_stored_over_every_break(run_daemon: RunDaemon) -> None:
    heard: list[Streamed] = []
    others: list[object] = []
    async with open_sim(["binance"], rate=100, seed=5) as sim, run_daemon(sim) as running, laid(running.address) as line:
        async with MarketDataClient(line.url) as client, aclosing(client.stream(Channel("trade", SYMBOL))) as stream:
            async for message in stream:
                if not isinstance(message, Streamed):
                    others.append(message)
                elif not message.is_snapshot:
                    heard.append(message)
                    if len(heard) in (50, 100, 150):
                        line.cut()
                    if len(heard) == 200:
                        break
        prices = {one.event.trade_id: one.event.price for one in heard if isinstance(one.event, Trade)}
        kept = await eventually(lambda: stored(running), holds=lambda found: found.keys() >= prices.keys())
    ids = list(map(int, prices))

    assert ids == list(range(ids[0], ids[-1] + 1))
    assert [one.pos for one in heard] == list(range(heard[0].pos, heard[0].pos + 200))
    assert {number: kept[number] for number in prices} == prices
    assert [type(one) for one in others] == [Connected, *[Broken, Connected] * 3]


@pytest.mark.timeout(200)
async def test_a_restart_is_said_and_then_it_goes_on(run_daemon: RunDaemon) -> None:
    async with open_sim(["binance"], rate=100, seed=5) as sim:
        first = run_daemon(sim)
        running = await first.__aenter__()
        async with (
            laid(running.address) as line,
            MarketDataClient(line.url) as client,
            aclosing(client.stream(Channel("trade", SYMBOL))) as stream,
        ):
            before = await until_live(stream, [])
            await first.__aexit__(None, None, None)
            said: list[object] = []
            async with run_daemon(sim) as again:
                line.target = int(again.address.rpartition(":")[2])
                while not any(isinstance(one, Missed) for one in said):  # after what the store has of it
                    after = await until_live(stream, said)
    missed = [one for one in said if isinstance(one, Missed)]

    assert isinstance(said[0], Broken)
    assert "1001 marketd is stopping" in said[0].reason
    assert [(one.first, "another run" in one.reason) for one in missed] == [(None, True)]
    assert isinstance(before.event, Trade)
    assert isinstance(after.event, Trade)
    assert int(after.event.trade_id) > int(before.event.trade_id)


@pytest.mark.timeout(200)
async def test_at_sigterm_every_client_is_told_and_who_does_not_read_holds_up_nothing(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with (
        open_sim(["binance"], rate=2000, seed=5) as sim,
        run_process({**sim.env(), "HTTP_PORT": str(port)}, tmp_path / "data") as daemon,
    ):
        await eventually(lambda: is_up(url))
        deaf = await join(url, Member([SYMBOL]), few=True)
        deaf.transport.pause_reading()
        async with listening(url) as client:
            await client.subscribe({"type": "trade", "symbol": SYMBOL})
            await client.take(1000)
            code = await daemon.stop()
            ended = await client.ended()
        deaf.transport.abort()

    assert code == 0
    assert ended[0] == 1001
    assert "marketd is stopping" in ended[1]


async def is_up(url: str) -> bool:
    try:
        async with httpx.AsyncClient(base_url=url) as http:
            return (await http.get("/health")).status_code == 200
    except httpx.TransportError:
        return False


async def until_live(stream: AsyncIterator[Any], others: list[object]) -> Streamed:
    async for message in stream:
        if isinstance(message, Streamed) and not message.is_snapshot:
            return message
        others.append(message)
    raise AssertionError("the stream ended")
