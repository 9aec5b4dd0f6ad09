"""The account is a fold over its fills, and every sum of it is exact."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.exact import fee_of
from marketd.model.paper import Fill
from marketd.paper.account import Account

prices = st.decimals("0.00000001", "99999999", places=8, allow_nan=False)
sizes = st.decimals("0.000001", "1000000", places=6, allow_nan=False)


@st.composite
def traded(draw: st.DrawFn) -> list[Fill]:
    """Fills as a trader makes them: each opens a position or closes one wholly, long or short, with a fee."""
    held: dict[str, Fill] = {}
    fills: list[Fill] = []
    for at in range(draw(st.integers(0, 25))):
        symbol = draw(st.sampled_from("ABC"))
        price, opened = draw(prices), held.pop(symbol, None)
        side = draw(st.sampled_from(["buy", "sell"])) if opened is None else ("sell" if opened.side == "buy" else "buy")
        size = draw(sizes) if opened is None else opened.size
        closes = None if opened is None else opened.order
        fee = fee_of(price * size, D(draw(st.integers(0, 100))))
        fills.append(Fill(str(at), "sim", symbol, side, "entry" if opened is None else "signal", price, size, fee, at, closes))
        if opened is None:
            held[symbol] = fills[-1]
    return fills


@given(traded(), st.fixed_dictionaries(dict.fromkeys("ABC", prices)), prices)
def test_cash_and_positions_less_the_start_are_the_profit_exactly(fills: list[Fill], marks: dict[str, D], start: D) -> None:
    account = Account.opened(start).folded(fills)
    profit = account.realised + account.unrealised(marks) - account.fees

    assert account.equity(marks) - account.start == profit
    assert account.cash == start + sum((one.cash for one in fills), D(0))


@given(traded(), st.integers(0, 25))
def test_the_account_is_the_same_however_its_fills_are_cut_in_two(fills: list[Fill], cut: int) -> None:
    start = Account.opened(D(1000))

    assert start.folded(fills) == start.folded(fills[:cut]).folded(fills[cut:])


def test_a_round_trip_by_hand() -> None:
    bought = Fill("1", "sim", "BTCUSDT", "buy", "entry", D("64250.10"), D("0.155"), D("9.95876550"), 1)
    sold = Fill("2", "sim", "BTCUSDT", "sell", "stop", D("62000"), D("0.155"), D("9.61"), 2, closes="1")
    held = Account.opened(D(10_000)).after(bought)
    assert held.cash == D("31.27573450")
    assert held.equity({"BTCUSDT": D("65000")}) == D("10106.27573450")
    done = held.after(sold)

    assert (done.cash, done.realised, done.fees, done.positions) == (D("9631.66573450"), D("-348.76550"), D("19.56876550"), {})
    assert done.closed_at == {"BTCUSDT": 2}


@pytest.mark.parametrize(
    "fill",
    [
        Fill("2", "sim", "BTCUSDT", "sell", "stop", D(1), D("0.5"), D(0), 2, closes="1"),
        Fill("2", "sim", "BTCUSDT", "sell", "stop", D(1), D(1), D(0), 2, closes="other"),
        Fill("2", "sim", "BTCUSDT", "buy", "entry", D(1), D(1), D(0), 2),
        Fill("2", "sim", "ETHUSDT", "sell", "stop", D(1), D(1), D(0), 2, closes="1"),
    ],
    ids=["a part", "another's", "twice", "nothing held"],
)
def test_a_fill_that_neither_opens_nor_wholly_closes_is_refused(fill: Fill) -> None:
    account = Account.opened(D(10)).after(Fill("1", "sim", "BTCUSDT", "buy", "entry", D(1), D(1), D(0), 1))
    with pytest.raises(ValueError, match="fill 2"):
        account.after(fill)

    assert account.fills == 1


def test_a_short_sale_keeps_what_it_brought_and_its_collateral() -> None:
    account = Account.opened(D(1000)).after(Fill("1", "sim", "BTCUSDT", "sell", "entry", D(100), D(3), D(0), 1))

    assert (account.cash, account.free) == (D(1300), D(700))
    assert account.equity({"BTCUSDT": D(110)}) == D(970)
