"""When a candle is closed, at venues that never say so: the first one of a later time proves it."""

from msgspec.structs import replace

from marketd.model.events import Candle

KEPT = 4  # how many candles back a late change is still told from a repetition


class Closing:
    """The newest candles of one symbol and timeframe on one connection."""

    def __init__(self) -> None:
        self._told: dict[int, Candle] = {}  # by open time

    def take(self, candle: Candle) -> list[Candle]:
        """What to tell when the venue sends `candle`: before the first of a later time, its forerunner as closed. An older
        one that changes after that is a revision; one that comes again unchanged is nothing."""
        newest = max(self._told, default=None)
        if newest is None:
            self._keep(candle)
            return [candle]
        if candle.open_time > newest:
            closed = replace(self._told[newest], closed=True, ts_event=candle.ts_event, ts_recv=candle.ts_recv)
            self._told[newest] = closed
            self._keep(candle)
            return [closed, candle]
        if candle.open_time < newest:
            before = self._told.get(candle.open_time)
            revision = before.revision if before is not None else 0
            candle = replace(candle, closed=True, revision=revision)
            if before is not None and candle == replace(before, ts_event=candle.ts_event, ts_recv=candle.ts_recv):
                return []
            candle = replace(candle, revision=revision + 1)
        self._keep(candle)
        return [candle]

    def _keep(self, candle: Candle) -> None:
        self._told[candle.open_time] = candle
        if len(self._told) > KEPT:
            del self._told[min(self._told)]
