"""The pretend ranking: pages, keys, limits, places that change, and its faults."""

import httpx
import pytest

from marketd.clock import ManualClock
from marketd.sim import FAULTS, Sim, invented, open_sim

MARKETS = {"vs_currency": "usd", "order": "market_cap_desc", "per_page": "250", "page": "1"}


async def get(sim: Sim, path: str = "/coins/markets", headers: dict[str, str] | None = None, **params: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=sim.env()["COINGECKO_URL"]) as client:
        return await client.get(path, params={**MARKETS, **params}, headers=headers)


async def test_every_coin_of_the_venues_is_ranked_once_and_others_beside_it(clock: ManualClock) -> None:
    async with open_sim(["binance", "kraken", "alpaca"], clock=clock) as sim:
        rows = (await get(sim)).json()
        tickers = [row["symbol"] for row in rows]

        assert [row["market_cap_rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert len({row["id"] for row in rows}) == len(rows)
        assert {"btc", "eth", "sol", "usdt", "usdc"} <= set(tickers)
        assert tickers.count("btc") == 3
        assert "aapl" not in tickers


async def test_pages_follow_each_other_and_end(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock, symbols=invented(300)) as sim:
        sim.coins.swaps = 0
        pages = [(await get(sim, page=str(page))).json() for page in (1, 2, 3)]

        assert [row["symbol"].upper() for page in pages for row in page] == sim.coins.tickers
        assert [len(page) for page in pages] == [250, len(sim.coins.order) - 250, 0]


async def test_the_same_seed_gives_the_same_changes(clock: ManualClock) -> None:
    seen = []
    for seed in (1, 1, 2):
        async with open_sim(["binance"], clock=clock, symbols=invented(100), seed=seed) as sim:
            seen.append([[row["id"] for row in (await get(sim)).json()] for _ in range(2)])

    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
    assert seen[0][0] != seen[0][1]


async def test_keys_have_their_limits_and_a_wrong_one_is_refused(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        demo = [await get(sim, headers={"x-cg-demo-api-key": "k"}) for _ in range(31)]
        wrong = await get(sim, headers={"x-cg-pro-api-key": "wrong"})

        assert [one.status_code for one in demo] == [200] * 30 + [429]
        assert int(demo[-1].headers["retry-after"]) > 0
        assert (wrong.status_code, wrong.json()["status"]["error_code"]) == (401, 10002)
        assert sim.coins.refused == 1


async def test_what_is_asked_wrongly_is_said(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        answers = [
            await get(sim, "/coins/list"),
            await get(sim, vs_currency=""),
            await get(sim, page="x"),
            await get(sim, "/api/v3/ping"),
        ]

        assert [one.status_code for one in answers] == [404, 422, 422, 200]


@pytest.mark.parametrize(
    ("fault", "settings", "status"),
    [("refuse", {"retry_after": "7s"}, 429), ("error500", {}, 500), ("garbage", {}, 200), ("empty", {}, 200)],
)
async def test_faults_hit_the_ranking_by_its_name_and_heal(
    clock: ManualClock, fault: str, settings: dict[str, str], status: int
) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        sim.fault("coingecko", fault, **settings)
        answers = [await get(sim) for _ in range(5)]
        sim.heal("coingecko")
        healed = await get(sim)

        assert {one.status_code for one in answers} == {status}
        assert [one.headers.get("retry-after") for one in answers] == [settings.get("retry_after", "").strip("s") or None] * 5
        assert all(fault in FAULTS and one.content[:20] != healed.content[:20] for one in answers)
        assert len(healed.json()) > 3


async def test_it_can_hang_and_a_move_is_seen(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        sim.coins.swaps = 0
        sim.coins.move("sol", 0)
        first = (await get(sim)).json()[0]
        sim.fault("coingecko", "hang", count=1)
        async with httpx.AsyncClient(timeout=0.2) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(sim.env()["COINGECKO_URL"] + "/ping")

        assert first["symbol"] == "sol"
        assert (await get(sim, "/ping")).status_code == 200


async def test_it_talks_no_websocket(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, httpx.AsyncClient() as client:
        headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "x"}
        answer = await client.get(sim.env()["COINGECKO_URL"] + "/nothing", headers=headers)

        assert answer.status_code == 404
