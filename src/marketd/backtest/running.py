"""A back-test: every boundary of the span in turn, with the functions that the live services call; no clock, I/O or chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from marketd.analysis.closed import Closed, Window
from marketd.analysis.scan import rank, scan
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import analyse
from marketd.backtest.stored import Stored
from marketd.model.paper import EquityPoint, Fill, Order
from marketd.model.signals import Signal
from marketd.model.timeframes import timeframe
from marketd.paper.account import Account
from marketd.paper.advising import advices_of
from marketd.paper.books import Books
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Look, Sight
from marketd.paper.trading import step

Tell = Callable[[int, int], None]  # moments done, of how many


class Scored(NamedTuple):
    """What the scanner said of a coin when it was bought."""

    score: float | None
    rank: int | None


@dataclass
class Run:
    """What came of it, in the order of the market."""

    books: Books
    signals: list[Signal] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    points: list[EquityPoint] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    scores: dict[str, Scored] = field(default_factory=dict)  # by the order that opened a position
    unsaid: dict[str, int] = field(default_factory=dict)  # by symbol: candles in the span that 500 whole ones do not lead to


def run(coins: Sequence[Stored], analysis: AnalysisConfig, terms: PaperConfig, tell: Tell = lambda done, of: None) -> Run:
    """At each close: exits by the candles that closed, then entries by their signals at the open of the next ones.

    All coins are of one venue and of `terms.timeframe`; their order does not matter. Fills are those of `paper.fill: next_open`.
    """
    terms = terms.model_copy(update={"fill": "next_open"})
    length = timeframe(terms.timeframe).step
    coins = sorted(coins, key=lambda coin: coin.series)
    assert all(coin.series.timeframe == terms.timeframe for coin in coins), "one timeframe"
    places = {coin.series: coin.first for coin in coins}
    proved = (coin.proved(at) for coin in coins for at in range(coin.first, len(coin.candles)))
    moments = sorted(set(proved))
    done, boundary = Run(Books(Account.opened(terms.cash))), 0
    for count, moment in enumerate(moments, 1):
        sights: dict[str, Sight] = {}
        windows: list[Window] = []
        signals: list[Signal] = []
        for coin in coins:
            at = places[coin.series]
            if at == len(coin.candles) or coin.proved(at) != moment:
                continue
            places[coin.series] = at + 1
            boundary = max(boundary, int(coin.candles.opens[at]) + length)
            opens = coin.opening(at + 1)
            sights[coin.series.symbol] = Sight([coin.prices[at]], opens if opens and opens.open_time == moment else None)
            window = coin.window(at)
            windows.append(window)
            if not isinstance(window, Closed):
                done.unsaid[coin.series.symbol] = done.unsaid.get(coin.series.symbol, 0) + 1
            signals += analyse(window, analysis).signals
        _take(done, Look(boundary, moment, sights, advices_of(signals, terms)), terms, signals, windows, analysis)
        tell(count, len(moments))
    return done


def _take(
    done: Run, look: Look, terms: PaperConfig, signals: list[Signal], windows: list[Window], analysis: AnalysisConfig
) -> None:
    stepped = step(done.books, look, terms)
    done.books = stepped.books
    done.signals += signals
    done.orders += stepped.orders
    done.fills += stepped.fills
    done.points += stepped.points
    done.troubles += stepped.troubles
    entries = [fill for fill in stepped.fills if fill.why == "entry"]
    if entries:
        ranked = {one.scan.symbol: Scored(one.scan.score, one.rank) for one in rank(scan(window, analysis) for window in windows)}
        done.scores.update((fill.order, ranked[fill.symbol]) for fill in entries)
