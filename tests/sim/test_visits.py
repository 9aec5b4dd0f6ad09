"""The simulation's log of connections."""

import httpx

from marketd.sim import open_sim
from marketd.sim.visits import CONNECTIONS_MAX, OTHER, PATHS_MAX, Visits
from marketd.sim.wire import Request

STREAM = "/ws/btcusdt@trade"


def asked(path: str, peer: str = "127.0.0.1:5", agent: str = "one") -> Request:
    return Request("GET", path, {}, {"user-agent": agent}, path, peer)


async def test_who_connected_is_known_with_what_was_asked(connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance_us"]) as sim:
        async with httpx.AsyncClient(base_url=f"http://{sim.address}", headers={"User-Agent": "somebody"}) as rest:
            for _ in range(2):
                await rest.get("/binance_us/api/v3/ping", params={"a": "1"})
            shown = (await rest.get("/visits")).json()
        async with connect(sim.env()["BINANCE_US_WS_URL"] + STREAM):
            kinds = [visit.kind for visit in sim.visits.all]

    assert [("rest", "somebody", {"/binance_us/api/v3/ping": 2})] == [(one["kind"], one["agent"], one["paths"]) for one in shown]
    assert ["rest", "ws"] == kinds


def test_another_client_on_the_same_port_is_another_visit() -> None:
    visits = Visits()
    for agent in ("one", "two"):
        visits.note("rest", asked("/a", agent=agent), 1)

    assert {"two"} == visits.agents


def test_the_log_is_bounded() -> None:
    visits = Visits()
    for number in range(PATHS_MAX + 5):
        visits.note("rest", asked(f"/{number}"), 1)
    paths = visits.all[0].paths
    for number in range(CONNECTIONS_MAX + 5):
        visits.note("rest", asked("/", peer=str(number)), 1)

    assert (PATHS_MAX + 1, 5) == (len(paths), paths[OTHER])
    assert CONNECTIONS_MAX == len(visits.all)
