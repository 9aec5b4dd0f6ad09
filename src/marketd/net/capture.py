"""Records what goes over the wire, as it came."""

from collections.abc import Mapping
from typing import Protocol


class Capture(Protocol):
    """Where frames and REST answers are recorded; never waits."""

    def frame(self, kind: str, venue: str, conn: int, ts: int, data: bytes) -> None: ...

    def rest(
        self, ts: int, venue: str, url: str, params: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes
    ) -> None: ...
