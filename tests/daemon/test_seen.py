"""The feeds as the API shows them, asked of a daemon that runs."""

import httpx

from marketd.api.section import ApiConfig
from marketd.api.token import read_token
from marketd.sim.server import open_sim
from tests.daemons import Running, eventually


async def put(running: Running, symbols: list[str], provider: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {read_token(ApiConfig(), running.data_dir)}"}
    async with httpx.AsyncClient(base_url=running.address, headers=headers) as client:
        body = {"symbols": symbols} if provider is None else {"symbols": symbols, "provider": provider}
        return await client.put("/subscriptions", json=body)


async def test_symbols_that_no_venue_lists_are_refused_and_what_is_collected_goes_on(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=9) as sim, run_daemon(sim) as running:
        await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") is not None)
        refused = [await put(running, ["NOPENOPE"]), await put(running, ["NOPENOPE", "NEITHER"], "binance")]
        pairs = (await running.get("/pairs")).json()["pairs"]
        last = running.views.latest.trade("binance", "BTCUSDT")
        await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") != last)

    assert [one.status_code for one in refused] == [422, 422]
    assert refused[1].json()["error"] == "binance lists none of NOPENOPE, NEITHER; 2 symbols are collected as before"
    assert pairs == ["BTCUSDT", "ETHUSDT"]


async def test_of_symbols_that_are_listed_in_part_the_others_are_named(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=10) as sim, run_daemon(sim) as running:
        await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") is not None)
        changed = (await put(running, ["ETHUSDT", "NOPENOPE"])).json()
        status = (await running.get("/status")).json()["subscriptions"]

    assert (changed["removed"], changed["unlisted"]) == (["BTCUSDT"], ["NOPENOPE"])
    assert {"unlisted"} == {one["state"] for one in status if one["symbol"] == "NOPENOPE"}


async def test_rows_say_what_is_subscribed_and_venues_how_they_are(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=11) as sim, run_daemon(sim) as running:
        await eventually(lambda: running.views.latest.quote("binance", "ETHUSDT") is not None)
        feeds = running.views.feeds
        await eventually(lambda: {one.name: one.state for one in feeds.venues()} == {"binance": "connected", "bybit": "standby"})
        rows = {(one.provider, one.symbol, one.channel) for one in feeds.subscriptions()}
        counts = feeds.counts()

    assert {("binance", "BTCUSDT", "trade"), ("bybit", "ETHUSDT", "book")} <= rows
    assert counts.active_connections == 2
    assert counts.total_messages > 0
