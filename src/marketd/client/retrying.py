"""When to ask again, and when to give up: soon at first, then less and less often, and never sooner than the server wants."""

import random
from dataclasses import dataclass

from marketd.client.errors import Passing


@dataclass(frozen=True)
class Retry:
    """`attempts` in all. A server that wants a longer pause than `pause_s_max` is not waited for."""

    attempts: int = 5
    delay_s_min: float = 0.25
    delay_s_max: float = 8.0
    pause_s_max: float = 60.0


class Tries:
    """The attempts of one question."""

    def __init__(self, retry: Retry) -> None:
        self._retry, self._failed = retry, 0

    def delay_s(self, error: Passing) -> float:
        """How long to wait after this. Raises the error itself when it was the last attempt."""
        retry = self._retry
        self._failed += 1
        wanted = error.retry_after_s or 0.0
        if self._failed >= retry.attempts or wanted > retry.pause_s_max:
            raise error
        backoff: float = min(retry.delay_s_max, retry.delay_s_min * 2.0 ** min(self._failed - 1, 30))
        return max(wanted, backoff * random.uniform(0.5, 1.0))
