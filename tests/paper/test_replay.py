"""Whatever the market does and whenever the trader starts anew: its fills give its equity, to the last digit."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.timeframes import HOUR
from marketd.paper.account import Account
from marketd.paper.books import Books
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Prices
from tests.paper.market import T0, Trader, advice, terms
from tests.paper.replay import replayed

SYMBOLS = ("ADAUSDT", "BTCUSDT", "XRPUSDT")
prices = st.tuples(*[st.integers(1, 3_000)] * 4).map(lambda four: [D(one).scaleb(-2) for one in four])
settings = st.fixed_dictionaries(
    {
        "cash": st.sampled_from([D(1000), D("333.33"), D("0.5")]),
        "position_quote": st.sampled_from([None, D(100)]),
        "position_percent": st.sampled_from([D(30), D(100)]),
        "positions_max": st.integers(1, 3),
        "stop_percent": st.sampled_from([None, D(3), D("0.01")]),
        "take_profit_percent": st.sampled_from([None, D("6.5")]),
        "cooldown_candles": st.integers(0, 2),
        "fee_bps": st.sampled_from([D(0), D(10), D("7.3")]),
        "spread_bps": st.sampled_from([D(0), D("4.5")]),
        "slippage_bps": st.sampled_from([D(0), D(5)]),
        "allow_short": st.booleans(),
        "size_digits": st.sampled_from([0, 3, 8]),
        "order_quote_min": st.just(D("0.01")),
    }
).map(lambda words: terms(**words))


@st.composite
def hours(draw: st.DrawFn) -> list[tuple[dict[str, list[D]], dict[str, str], bool]]:
    """Of each hour the candles, the signals at its end, and whether the trader starts anew after it."""
    return [
        (
            {symbol: draw(prices) for symbol in SYMBOLS},
            draw(st.dictionaries(st.sampled_from(SYMBOLS), st.sampled_from(["long", "short"]))),
            draw(st.booleans()),
        )
        for _ in range(draw(st.integers(1, 20)))
    ]


def candle(hour: int, four: list[D]) -> Prices:
    opened, closed, *_ = four
    return Prices(T0 + hour * HOUR, opened, max(four), min(four), closed)


def anew(trader: Trader) -> Books:
    """As from what is stored."""
    fills = [one for done in trader.steps for one in done.fills]
    points = [one for done in trader.steps for one in done.points]
    seen = {symbol: one for done in trader.steps for symbol, one in done.seen.items()}
    boundary = trader.books.boundary
    decided = frozenset(one.id for done in trader.steps for one in done.orders if one.ts == boundary)
    return Books(Account.opened(trader.terms.cash).folded(fills), boundary, points[-1].equity, seen, decided)


@given(settings, hours())
def test_fills_give_the_equity_of_every_boundary_however_often_the_trader_starts_anew(
    its: PaperConfig, hours: list[tuple[dict[str, list[D]], dict[str, str], bool]]
) -> None:
    trader, whole = Trader(its), Trader(its)
    candles: dict[str, list[Prices]] = {symbol: [] for symbol in SYMBOLS}
    marks = {}
    for hour, (prices, signals, starts) in enumerate(hours):
        for symbol, four in prices.items():
            candles[symbol].append(candle(hour, four))
        opening = {symbol: [*rows, candle(hour + 1, [rows[-1].close] * 4)] for symbol, rows in candles.items()}
        advices = [advice(hour + 1, symbol, direction) for symbol, direction in signals.items()]
        for one in (trader, whole):
            one.at(hour + 1, opening, *advices)
        marks[T0 + (hour + 1) * HOUR] = {symbol: rows[-1].close for symbol, rows in candles.items()}
        if starts:
            trader.books = anew(trader)
            assert trader.at(hour + 1, opening, *advices).is_empty
    fills = [one for done in trader.steps for one in done.fills]
    points = [one for done in trader.steps for one in done.points]

    assert replayed(its.cash, fills, marks) == points
    assert [one for done in whole.steps for one in done.fills] == fills
    assert whole.books.account == trader.books.account
    assert its.allow_short or trader.books.account.cash >= 0
