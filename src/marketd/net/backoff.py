"""How long to wait before trying again: longer each time, never twice the same, short again only after success."""

import random


class Backoff:
    """Doubles from `first_s` to `max_s`, each delay spread evenly over [half, full]."""

    def __init__(self, first_s: float = 1.0, max_s: float = 60.0, *, dice: random.Random | None = None) -> None:
        self._first_s, self._max_s = first_s, max_s
        self._dice = dice or random.Random()
        self.tries = 0

    def next_s(self) -> float:
        """The delay before the next try."""
        full = min(self._max_s, self._first_s * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return full * self._dice.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Data arrived: the next trouble starts from the shortest delay. A mere connection is no reason to call this."""
        self.tries = 0
