"""Candles from trades: open and close by the order of the venue's times and ids, high and low by exact value, volume as an
exact sum. A candle is closed by the first trade of a later interval; a trade that comes after that makes a revision.

Each trade is given once: repetitions are dropped where trades are told apart, before the bus.
"""

from collections.abc import Iterable
from decimal import Decimal

from marketd.model.events import Candle, Trade
from marketd.model.timeframes import Timeframe

KEPT = 10  # closed candles that a late trade can still correct


class Forming:
    """One candle while trades arrive for it, in whatever order."""

    __slots__ = ("close", "first", "high", "highest", "last", "low", "lowest", "open", "revision", "told", "volume")

    def __init__(self, trade: Trade, key: tuple[int, int, str]) -> None:
        self.open = self.high = self.low = self.close = trade.price
        self.first = self.last = key
        self.highest = self.lowest = Decimal(trade.price)
        self.volume = Decimal(0)
        self.revision = 0
        self.told = False  # as closed

    def add(self, trade: Trade, key: tuple[int, int, str]) -> None:
        price = Decimal(trade.price)
        if key < self.first:
            self.open, self.first = trade.price, key
        if key >= self.last:
            self.close, self.last = trade.price, key
        if price > self.highest:
            self.high, self.highest = trade.price, price
        elif price < self.lowest:
            self.low, self.lowest = trade.price, price
        self.volume += Decimal(trade.size)


class Builder:
    """One symbol's candles of one timeframe. `whole_from` (ns): candles that open before it saw only part of their trades and
    are never told; None: the first candle is partial, as when joining a running market."""

    def __init__(self, timeframe: Timeframe, whole_from: int | None = None) -> None:
        self._timeframe, self._whole_from = timeframe, whole_from
        self._candles: dict[int, Forming] = {}
        self._newest: int | None = None

    def add(self, trade: Trade) -> list[Candle]:
        """What a trade closes or corrects, oldest first; trades without a time of the venue count as they are received."""
        at = trade.ts_event if trade.ts_event is not None else trade.ts_recv
        opened = self._timeframe.open_of(at)
        if self._whole_from is None:
            self._whole_from = self._timeframe.close_of(opened)
        key = (at, *_order(trade.trade_id))
        forming = self._candles.get(opened)
        told: list[Candle] = []
        if forming is None:
            if len(self._candles) >= KEPT and opened < min(self._candles):
                return []  # too old to be corrected here; comparing with REST does
            forming = self._candles[opened] = Forming(trade, key)
        forming.add(trade, key)
        if self._newest is None or opened > self._newest:
            told += self._close_before(opened, trade)
            self._newest = opened
        elif forming.told:
            forming.revision += 1
            told += self._told(opened, forming, trade, closed=True)
        elif opened < self._newest:
            forming.told = True
            told += self._told(opened, forming, trade, closed=True)
        while len(self._candles) > KEPT:
            del self._candles[min(self._candles)]
        return told

    def forming(self, trade: Trade) -> list[Candle]:
        """The newest candle as it stands; `trade` gives its venue, symbol and times."""
        if self._newest is None:
            return []
        return self._told(self._newest, self._candles[self._newest], trade, closed=False)

    def _close_before(self, opened: int, trade: Trade) -> list[Candle]:
        told = []
        for at in sorted(self._candles):
            forming = self._candles[at]
            if at < opened and not forming.told:
                forming.told = True
                told += self._told(at, forming, trade, closed=True)
        return told

    def _told(self, opened: int, forming: Forming, trade: Trade, *, closed: bool) -> list[Candle]:
        if self._whole_from is not None and opened < self._whole_from:
            return []
        return [
            Candle(
                trade.venue,
                trade.symbol,
                trade.ts_event,
                trade.ts_recv,
                self._timeframe.name,
                opened,
                self._timeframe.close_of(opened),
                forming.open,
                forming.high,
                forming.low,
                forming.close,
                format(forming.volume, "f"),
                closed,
                forming.revision,
                trade.repaired,
            )
        ]


def built(trades: Iterable[Trade], timeframe: Timeframe) -> list[Candle]:
    """The candles of a whole stretch of trades, the last one open. Assumes that each interval's trades are all there."""
    candles: dict[int, Candle] = {}
    builder, last = Builder(timeframe, whole_from=0), None
    for trade in trades:
        candles.update((one.open_time, one) for one in builder.add(trade))
        last = trade
    if last is not None:
        candles.update((one.open_time, one) for one in builder.forming(last))
    return [candles[at] for at in sorted(candles)]


def _order(trade_id: str) -> tuple[int, str]:
    """Trades of the same moment go by number, where the venue numbers them."""
    return (int(trade_id), "") if trade_id.isascii() and trade_id.isdecimal() and len(trade_id) < 20 else (0, trade_id)
