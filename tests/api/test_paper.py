"""The paper account through the API: exact figures that add up, and that it is on paper in every answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.clock import ManualClock
from marketd.model.paper import EquityPoint, Fill, Order, Seen
from marketd.paper.account import Account
from marketd.paper.books import Books
from marketd.stores.paper import Kept, PaperStore, open_paper

FILLS = [
    Fill("a", "sim", "BTCUSDT", "buy", "entry", D("100.070"), D("9.5"), D("0.95066500"), 5 * 10**9),
    Fill("a:exit", "sim", "BTCUSDT", "sell", "stop", D("90"), D("9.5"), D("0.855"), 6 * 10**9, closes="a"),
    Fill("b", "sim", "ETHUSDT", "sell", "entry", D("10"), D("2"), D("0.02"), 7 * 10**9, stop=D("11")),
]


@dataclass
class Shown:
    """PaperView."""

    books: Books | None
    kept: Kept | None
    store: PaperStore
    state: tuple[Any, str] = field(default=("ok", "waits"))


@pytest.fixture
async def shown(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Shown]:
    async with open_paper(f"sqlite:///{tmp_path / 'archive.db'}", clock) as store:
        kept = await store.open("main", D("1000"), "1h", 0)
        orders = [Order(one.order, "sim", one.symbol, one.side, one.why, one.ts, None, "so") for one in FILLS]
        point = EquityPoint(7 * 10**9, D("1"), D("-0.50"), D(0), D(0), D(0), 1)
        kept = await store.keep(kept, 7 * 10**9, orders, FILLS, [point], {})
        account = Account.opened(D(1000)).folded(FILLS)
        yield Shown(Books(account, 7 * 10**9, seen={"ETHUSDT": Seen(0, D("9.25"))}), kept, store)


@pytest.fixture
async def asking(only: Views, shown: Shown, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        run_api(ApiConfig(port=0), replace(only, paper=shown), tmp_path) as url,
        httpx.AsyncClient(base_url=url) as one,
    ):
        yield one


async def test_the_figures_of_the_account_add_up(asking: httpx.AsyncClient) -> None:
    found = (await asking.get("/paper")).json()
    names = ("start", "cash", "positions", "equity", "profit", "realised", "unrealised", "fees")
    figures = {name: D(found[name]) for name in names}

    assert found["paper"] is True
    assert "no order ever went to a venue" in found["meaning"]["paper"]
    assert figures["equity"] == figures["cash"] + figures["positions"]
    assert figures["profit"] == figures["equity"] - figures["start"]
    assert figures["profit"] == figures["realised"] + figures["unrealised"] - figures["fees"]
    assert (figures["realised"], figures["fees"]) == (D("-95.665"), D("1.825665"))


async def test_a_short_position_is_shown_as_one(asking: httpx.AsyncClient) -> None:
    (found,) = (await asking.get("/paper/positions")).json()

    assert ("ETHUSDT", "short", "2", "10", "9.25", "1.5", "11", None) == tuple(
        found[key] for key in ("symbol", "side", "size", "price", "mark", "unrealised", "stop", "take_profit")
    )


async def test_the_account_can_be_made_again_from_the_fills(asking: httpx.AsyncClient) -> None:
    fills = (await asking.get("/paper/fills")).json()
    cash = D(1000)
    for one in reversed(fills):
        value = D(one["price"]) * D(one["size"])
        cash += (value if one["side"] == "sell" else -value) - D(one["fee"])

    assert [3, 2, 1] == [one["seq"] for one in fills]
    assert cash == D((await asking.get("/paper")).json()["cash"])


async def test_equity_is_cut_by_time(asking: httpx.AsyncClient) -> None:
    points = (await asking.get("/paper/equity", params={"start": "1970-01-01T00:00:07Z"})).json()
    none = (await asking.get("/paper/equity", params={"start": "1970-01-01T00:00:08Z"})).json()
    wrong = await asking.get("/paper/equity", params={"start": "2024-01-01", "end": "2023-01-01"})

    assert [("1970-01-01T00:00:07+00:00", "0.5", "-0.5")] == [(one["ts"], one["equity"], one["positions"]) for one in points]
    assert none == []
    assert (400, "end") == (wrong.status_code, wrong.json()["parameter"])


async def test_books_that_are_not_open_are_a_503_with_the_reason(asking: httpx.AsyncClient, shown: Shown) -> None:
    shown.books, shown.state = None, ("unhealthy", "no connection")
    answer = await asking.get("/paper/orders")

    assert (503, "the paper trader's books are not open: no connection") == (answer.status_code, answer.json()["error"])


@pytest.mark.parametrize("words", ["limit=1.0", "limit=%2B1", "limit=1_0", "limit=%201", "cursor=1_0", "cursor=2.0", "cursor=0"])
@pytest.mark.parametrize("path", ["/paper/orders", "/paper/fills"])
async def test_a_number_that_is_written_otherwise_is_refused_as_elsewhere(
    asking: httpx.AsyncClient, path: str, words: str
) -> None:
    said = await asking.get(f"{path}?{words}")

    assert said.status_code == 400
    assert said.json()["parameter"] == words.partition("=")[0]
