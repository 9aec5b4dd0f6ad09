"""Candles, signals and steps for the tests of paper trading, in round numbers."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from marketd.model.timeframes import HOUR
from marketd.paper.account import Account
from marketd.paper.books import Books, Step
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice, Look, Prices, Quoted, Sight
from marketd.paper.trading import step

T0 = 1_700_000_000_000_000_000 // HOUR * HOUR
# No costs and no cooldown: a test names those it is about.
FREE = PaperConfig(
    cash=Decimal(1000),
    fee_bps=Decimal(0),
    spread_bps=Decimal(0),
    slippage_bps=Decimal(0),
    position_quote=Decimal(100),
    stop_percent=Decimal(10),
    take_profit_percent=Decimal(20),
    cooldown_candles=0,
    order_quote_min=Decimal(1),
)


def terms(**settings: object) -> PaperConfig:
    return FREE.model_validate({**FREE.model_dump(), **settings})


def candle(hour: int, open: str, high: str = "", low: str = "", close: str = "") -> Prices:
    """The candle that opens so many hours after T0; without more, nothing moved in it."""
    return Prices(T0 + hour * HOUR, *map(Decimal, (open, high or open, low or open, close or open)))


def advice(hour: int, symbol: str = "BTCUSDT", direction: str = "long", rule: str = "ribbon", **more: str) -> Advice:
    """A signal of the candle that closes at that hour."""
    id = f"sim:{symbol}:1h:{hour}:{rule}"
    its = {"id": id, "venue": "sim", "symbol": symbol, "direction": direction, "close_time": T0 + hour * HOUR, "rule": rule}
    return Advice(**{**its, **more})  # type: ignore[arg-type]


class Trader:
    """Steps over boundaries as the daemon does, and keeps what came of them."""

    def __init__(self, terms: PaperConfig = FREE) -> None:
        self.terms = terms
        self.books = Books(Account.opened(terms.cash))
        self.steps: list[Step] = []

    def at(
        self,
        hour: int,
        candles: Mapping[str, Sequence[Prices]] | Sequence[Prices],
        *advices: Advice,
        now_s: float = 1,
        doubt: str = "",
        quote: Quoted | None = None,
    ) -> Step:
        """At that hour these candles are there, the last of each symbol forming."""
        by_symbol = candles if isinstance(candles, Mapping) else {"BTCUSDT": candles}
        sights = {symbol: Sight(its[:-1], its[-1], doubt, quote) for symbol, its in by_symbol.items()}
        boundary = T0 + hour * HOUR
        done = step(self.books, Look(boundary, boundary + int(now_s * 1e9), sights, advices), self.terms)
        self.books = done.books
        self.steps.append(done)
        return done

    @property
    def fills(self) -> list[tuple[str, str, str]]:
        """What was done, at which price and size."""
        return [(one.why, f"{one.price.normalize():f}", f"{one.size.normalize():f}") for done in self.steps for one in done.fills]

    @property
    def refusals(self) -> list[str | None]:
        return [one.refusal for done in self.steps for one in done.orders if one.refusal]
