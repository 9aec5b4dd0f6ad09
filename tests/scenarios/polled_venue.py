"""A simulated Binance.US with candles of every coin that the cache keeps, and what it saw of whoever polls it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from marketd.clock import Clock
from marketd.sim import Sim
from marketd.sim.symbols import COINS_US, COINS_US_USD
from marketd.sim.wire import Request, Response

MARKETS = [*(f"{coin}USDT" for coin in COINS_US), *(f"{coin}USD" for coin in COINS_US_USD)]
LENGTHS_S = {"5m": 300, "1h": 3600, "4h": 14_400}
CLOCK_S = 0.001  # two moments that differ by less are one
WINDOW_S = 60.0


def write_candles(home: Path, now_s: int) -> Path:
    """As many as are asked for, and those that the next hours bring."""
    home.mkdir()
    for name, length_s in LENGTHS_S.items():
        first_s, last_s = now_s // length_s * length_s - 510 * length_s, now_s + 3 * 3600
        opens = range(first_s, last_s, length_s)
        rows = [f"{at}000,10.10,10.20,{9 + at // length_s % 9 / 10:.2f},10.15,{at // length_s % 7}.500" for at in opens]
        for symbol in MARKETS:
            (home / f"{symbol}-{name}.csv").write_text("\n".join(rows))
    return home


class Question(NamedTuple):
    at_s: float
    path: str
    symbol: str
    weight: int
    status: int
    silence_s: float  # that the answer asks for


@dataclass
class Asked:
    """Every question that a simulated venue got, with the weight that the venue counted for it."""

    sim: Sim
    clock: Clock
    questions: list[Question] = field(default_factory=list)
    _used: int = 0

    def __post_init__(self) -> None:
        venue = self.sim.venue("binance_us")
        answer = venue.rest

        def rest(request: Request) -> Response:
            response = answer(request)
            used = int(response.headers.get("X-MBX-USED-WEIGHT-1M", self._used))
            weight = used - self._used if used >= self._used else used  # a new minute begins with nothing
            self._used = used
            silence_s = float(response.headers.get("Retry-After", 0)) if response.status in (418, 429) else 0.0
            at_s, symbol = self.clock.monotonic(), request.query.get("symbol", "")
            self.questions.append(Question(at_s, request.path.rpartition("/")[2], symbol, weight, response.status, silence_s))
            return response

        venue.rest = rest  # type: ignore[method-assign]

    def between(self, from_s: float, to_s: float) -> list[Question]:
        return [one for one in self.questions if from_s <= one.at_s < to_s]

    def weight_max(self) -> int:
        """The most that was spent within any minute, however it lies to the venue's own minutes."""
        return max(sum(one.weight for one in self.between(first.at_s, first.at_s + WINDOW_S)) for first in self.questions)

    def burst(self, within_s: float = 10.0) -> int:
        """The most questions within so many seconds."""
        return max(len(self.between(first.at_s, first.at_s + within_s)) for first in self.questions)

    def disobedient(self) -> list[Question]:
        """Those that were asked while the venue wanted silence."""
        told = [one for one in self.questions if one.silence_s]
        return [
            one
            for one in self.questions
            if any(each.at_s + CLOCK_S < one.at_s < each.at_s + each.silence_s - CLOCK_S for each in told)
        ]


__all__ = ["MARKETS", "Asked", "write_candles"]
