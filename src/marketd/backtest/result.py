"""What a back-test comes to: trades, coins, rules, equity and drawdown, all of it worked out of the fills."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from marketd.analysis.section import AnalysisConfig
from marketd.backtest.running import Run, Scored
from marketd.backtest.stored import Hole, Stored
from marketd.model.exact import exact
from marketd.model.paper import EquityPoint, Fill, Order, Why
from marketd.model.timeframes import timeframe
from marketd.paper.section import PaperConfig

ZERO = Decimal(0)


class Trade(msgspec.Struct, frozen=True):
    """A position, from the fill that opened it to the one that closed it. Times are ns."""

    symbol: str
    direction: Literal["long", "short"]
    size: Decimal
    opened: int
    entry: Decimal  # price paid, with spread and slippage
    closed: int | None  # None: still open at the end
    exit: Decimal | None  # of an open one, the last close
    why: Why | None  # it was closed
    fees: Decimal
    profit: Decimal  # after fees; of an open one, at the last close
    profit_percent: float  # of what it cost
    candles: int  # it was held
    rule: str
    reasons: str
    score: float | None  # the scanner's, when it was opened
    rank: int | None

    @property
    def is_open(self) -> bool:
        return self.closed is None


class Coin(msgspec.Struct, frozen=True):
    """One coin of the back-test."""

    symbol: str
    candles: int  # closed ones in the span
    unsaid: int  # of them without signals, for want of 500 whole ones
    holes: tuple[Hole, ...]
    change_percent: float  # from the first open of the span to the last close
    signals: int
    trades: int
    won: int
    profit: Decimal
    fees: Decimal


class RuleSum(msgspec.Struct, frozen=True):
    """One rule of the analysis."""

    rule: str
    signals: int
    trades: int
    won: int
    profit: Decimal


class Drawdown(msgspec.Struct, frozen=True):
    """The deepest fall of the equity below an earlier height."""

    percent: float = 0.0
    amount: Decimal = ZERO
    start: int | None = None  # ns, of the height
    bottom: int | None = None
    recovered: int | None = None  # None: not within the span


class Result(msgspec.Struct, frozen=True):
    venue: str
    timeframe: str
    start: int  # ns, where the first candle of the span opens
    end: int  # ns, where the last one closes
    cash: Decimal  # at the start
    equity: Decimal  # at the end, open positions at their last close
    profit: Decimal
    profit_percent: float
    fees: Decimal
    drawdown: Drawdown
    exposure_percent: float  # of the boundaries, those with a position open
    won: int  # closed trades with a profit after fees
    lost: int
    profit_factor: float | None  # profits by losses of closed trades; None without losses
    trades: tuple[Trade, ...]
    coins: tuple[Coin, ...]
    rules: tuple[RuleSum, ...]
    refusals: Mapping[str, int]  # signals that nothing was done about, by reason
    troubles: tuple[str, ...]
    left_out: Mapping[str, str]  # coins that could not take part, and why
    points: tuple[EquityPoint, ...]
    settings: Mapping[str, Mapping[str, Any]]

    @property
    def closed(self) -> list[Trade]:
        return [one for one in self.trades if not one.is_open]


def result_of(
    done: Run, coins: Sequence[Stored], analysis: AnalysisConfig, terms: PaperConfig, left_out: Mapping[str, str]
) -> Result:
    """Of a run that had at least one coin with a candle in the span."""
    coins = sorted(coins, key=lambda coin: coin.series)
    step = timeframe(terms.timeframe).step
    marks = {coin.series.symbol: coin.prices[-1].close for coin in coins}
    trades = tuple(_trades(done.fills, {one.id: one for one in done.orders}, done.scores, marks, step, done.books.boundary))
    closed = [one for one in trades if not one.is_open]
    equity = done.books.account.equity(marks)
    gained, given = _total(one for one in closed if one.profit > 0), -_total(one for one in closed if one.profit < 0)
    settings = {"analysis": analysis.model_dump(mode="json"), "paper": terms.model_dump(mode="json") | {"fill": "next_open"}}
    return Result(
        coins[0].series.venue,
        terms.timeframe,
        min(coin.prices[coin.first].open_time for coin in coins),
        done.books.boundary,
        terms.cash,
        equity,
        equity - terms.cash,
        _percent(equity - terms.cash, terms.cash),
        done.books.account.fees,
        drawdown_of(done.points),
        100 * sum(point.open > 0 for point in done.points) / max(len(done.points), 1),
        sum(one.profit > 0 for one in closed),
        sum(one.profit <= 0 for one in closed),
        float(gained) / float(given) if given else None,
        trades,
        tuple(_coin(coin, done, trades) for coin in coins),
        tuple(_rule(rule, done, trades) for rule in analysis.signals),
        dict(sorted(Counter(order.refusal for order in done.orders if order.refusal).items())),
        tuple(done.troubles),
        dict(sorted(left_out.items())),
        tuple(done.points),
        settings,
    )


@exact
def _trades(
    fills: Iterable[Fill],
    orders: Mapping[str, Order],
    scores: Mapping[str, Scored],
    marks: Mapping[str, Decimal],
    step: int,
    end: int,
) -> list[Trade]:
    """In the order in which they were opened."""
    found: dict[str, Trade] = {}
    entries: dict[str, Fill] = {}
    for fill in fills:
        if fill.closes is None:
            entries[fill.order] = fill
            mark = marks[fill.symbol]
            worth = fill.size * mark if fill.side == "buy" else -fill.size * mark
            profit, score = fill.cash + worth, scores[fill.order]
            found[fill.order] = Trade(
                fill.symbol, "long" if fill.side == "buy" else "short", fill.size, fill.ts, fill.price,
                None, mark, None, fill.fee, profit, _percent(profit, fill.value), (end - fill.ts) // step,
                rule_of(fill.order), orders[fill.order].detail, score.score, score.rank,
            )  # fmt: skip
        else:
            entry, profit = entries[fill.closes], entries[fill.closes].cash + fill.cash
            found[fill.closes] = msgspec.structs.replace(
                found[fill.closes],
                closed=fill.ts, exit=fill.price, why=fill.why, fees=entry.fee + fill.fee, profit=profit,
                profit_percent=_percent(profit, entry.value), candles=(fill.ts - entry.ts) // step,
            )  # fmt: skip
    return list(found.values())


def rule_of(order: str) -> str:
    """The rule of the signal that caused an order: the last part of its identity."""
    return order.rpartition(":")[2]


def _coin(coin: Stored, done: Run, trades: Sequence[Trade]) -> Coin:
    symbol, inside = coin.series.symbol, coin.prices[coin.first :]
    its = [one for one in trades if one.symbol == symbol]
    return Coin(
        symbol, len(inside), done.unsaid.get(symbol, 0), coin.holes,
        _percent(inside[-1].close - inside[0].open, inside[0].open),
        sum(one.symbol == symbol for one in done.signals), len(its), sum(_is_won(one) for one in its),
        _total(its), sum((one.fees for one in its), ZERO),
    )  # fmt: skip


def _rule(rule: str, done: Run, trades: Sequence[Trade]) -> RuleSum:
    its = [one for one in trades if one.rule == rule]
    return RuleSum(rule, sum(one.rule == rule for one in done.signals), len(its), sum(map(_is_won, its)), _total(its))


def _is_won(trade: Trade) -> bool:
    return not trade.is_open and trade.profit > 0


@exact
def _total(trades: Iterable[Trade]) -> Decimal:
    return sum((one.profit for one in trades), ZERO)


def _percent(part: Decimal, whole: Decimal) -> float:
    return 100 * float(part) / float(whole)


def drawdown_of(points: Sequence[EquityPoint]) -> Drawdown:
    deepest, height = Drawdown(), None
    for point in points:
        if height is None or point.equity >= height.equity:
            height = point
            if deepest.start is not None and deepest.recovered is None:
                deepest = msgspec.structs.replace(deepest, recovered=point.ts)
            continue
        percent = _percent(height.equity - point.equity, height.equity)
        if percent > deepest.percent:
            deepest = Drawdown(percent, height.equity - point.equity, height.ts, point.ts)
    return deepest
