"""Trades that a stream missed, asked of the store: how far they close the gap, and which come live once more."""

from marketd.model.events import Trade

KNOWN_MAX = 10_000  # of the trades that came last
OVERLAP_NS = 1_000_000_000  # venues are in order within it; as far back is asked again


class Trail:
    """The trades of one channel that came last, live or from the store."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int | None], bool] = {}  # oldest first; whether it came from the store only
        self._newest: int | None = None  # ts_event
        self.lacking = 0  # positions that nothing came for

    @property
    def start(self) -> int | None:
        """From when on to ask the store; None: nothing is known."""
        return None if self._newest is None else max(0, self._newest - OVERLAP_NS)

    def came_first(self, trade: Trade) -> None:
        """As a snapshot: from it on one can ask the store. The store may have given it already."""
        if _identity(trade) not in self._known:
            self._note(trade, stored=False)

    def came_live(self, trade: Trade) -> bool:
        """Whether it is new: what the store gave before its time comes is not. Then a position is lacking again."""
        if self._known.get(_identity(trade)):
            self._known[_identity(trade)] = False
            self.lacking += 1
            return False
        self._note(trade, stored=False)
        return True

    def came_stored(self, trade: Trade) -> bool:
        """Whether it is new."""
        if _identity(trade) in self._known:
            return False
        self._note(trade, stored=True)
        self.lacking -= 1
        return True

    def _note(self, trade: Trade, *, stored: bool) -> None:
        self._known[_identity(trade)] = stored
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        if trade.ts_event is not None and not trade.repaired:
            self._newest = max(self._newest or 0, trade.ts_event)


def _identity(trade: Trade) -> tuple[str, int | None]:
    return trade.trade_id, trade.ts_event
