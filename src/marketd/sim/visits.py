"""The simulated venues' own log of connections: who came, over which kind of connection, and what was asked there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from marketd.sim.wire import Request

CONNECTIONS_MAX = 10_000  # that are remembered, the oldest goes first
PATHS_MAX = 100  # told apart on one connection
OTHER = "(others)"


@dataclass
class Visit:
    """One TCP connection."""

    peer: str  # address and port of the client
    kind: Literal["rest", "ws"]
    agent: str  # its User-Agent, "" without one
    since_ns: int
    paths: dict[str, int] = field(default_factory=dict)  # without the query: how often each was asked


class Visits:
    """In the order in which the connections asked first."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Visit] = {}

    def note(self, kind: Literal["rest", "ws"], request: Request, now_ns: int) -> None:
        visit = self._known.get((request.peer, kind))
        agent = request.headers.get("user-agent", "")
        if visit is None or visit.agent != agent:  # another client on a port that was used before
            self._known.pop((request.peer, kind), None)
            visit = self._known[request.peer, kind] = Visit(request.peer, kind, agent, now_ns)
            if len(self._known) > CONNECTIONS_MAX:
                del self._known[next(iter(self._known))]
        path = request.path if request.path in visit.paths or len(visit.paths) < PATHS_MAX else OTHER
        visit.paths[path] = visit.paths.get(path, 0) + 1

    @property
    def all(self) -> list[Visit]:
        return list(self._known.values())

    @property
    def agents(self) -> set[str]:
        return {visit.agent for visit in self._known.values()}

    def listed(self) -> list[dict[str, object]]:
        """As `GET /visits` on the simulation's port shows them."""
        return [
            {"peer": one.peer, "kind": one.kind, "agent": one.agent, "since_ns": one.since_ns, "paths": one.paths}
            for one in self._known.values()
        ]
