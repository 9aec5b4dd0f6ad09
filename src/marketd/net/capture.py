"""placeholder"""

from collections.abc import Mapping


class Capture:
    def frame(self, kind: str, venue: str, conn: int, ts: int, data: bytes) -> None: ...
    def rest(
        self, ts: int, venue: str, url: str, params: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes
    ) -> None: ...
