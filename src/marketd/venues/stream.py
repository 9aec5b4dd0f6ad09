"""One subscription as the operator sees it: what was asked, what arrives, and what the venue said."""

from typing import Literal

from marketd.venues.cadence import Cadence
from marketd.venues.venue import Wanted

# pending: sent, no answer yet. live: data arrives at its pace. quiet: less than its pace, nothing proven. stale: silent though
# the venue has news. refused: the venue said no. dead: no connection.
StreamState = Literal["pending", "live", "quiet", "stale", "refused", "dead"]


class Stream:
    __slots__ = ("cadence", "gaps", "lag_ns", "owner", "price", "reason", "seq", "since_ns", "state", "wanted")

    def __init__(self, wanted: Wanted, now_ns: int) -> None:
        self.wanted = wanted
        self.cadence = Cadence(now_ns)
        self.state: StreamState = "dead"
        self.reason = "not connected yet"
        self.since_ns = now_ns
        self.owner = 0  # number of the connection whose word counts
        self.seq: int | None = None  # newest update id, for quotes
        self.lag_ns: int | None = None  # ts_recv - ts_event of the newest event
        self.price: str | None = None  # of the newest trade
        self.gaps = 0

    def become(self, state: StreamState, reason: str, now_ns: int) -> bool:
        """True if this changed the state."""
        changed = state != self.state
        if changed:
            self.state, self.since_ns = state, now_ns
        self.reason = reason
        return changed
