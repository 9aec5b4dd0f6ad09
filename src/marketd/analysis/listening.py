"""The loop of a role that lives off the candle cache: updates come, their coins are worked on, nothing of it ends the loop."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import structlog

from marketd.analysis.closed import CANDLES, NotClosed
from marketd.analysis.updates import Hearing, Update, read_update
from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.cached import update_channel
from marketd.stores.cache import Desk, Message, Resumed

Word = Literal["ok", "degraded", "unhealthy"]
NAMED = 5  # coins in a line of the log or in /health
SHOWN = 200  # letters of what could not be read
SECOND = 1_000_000_000
log = structlog.get_logger("analysis")

Work = Callable[[Update], Awaitable[Mapping[str, str]]]
"""Takes one update, gives the coins that were left out with the reason. May raise DeliveryError."""


class Listening:
    """Updates of some timeframes, each worked on as it comes, and again whenever the way to the cache was broken."""

    def __init__(
        self,
        role: str,
        desk: Desk,
        every_s: Mapping[str, float],
        coins: Sequence[str],
        clock: Clock,
        metrics: Metrics,
        work: Work,
    ) -> None:
        """`every_s`: how often the cache refreshes each timeframe. `coins` are worked on too, also before an update named any."""
        self.role = role
        self.resumed = 0  # how often listening began, and began again after the way to the cache was broken
        self._desk, self._clock, self._metrics, self._work = desk, clock, metrics, work
        self._coins = tuple(coins)
        self._known: dict[str, tuple[str, ...]] = dict.fromkeys(every_s, self._coins)
        self._hearing = Hearing(dict(every_s), clock.now_ns())
        self._left_out: dict[str, Mapping[str, str]] = {}  # by timeframe, of the last update
        self._away = ""  # why the last update could not be worked on
        self._worked: dict[str, int] = {}  # by timeframe: when, ns
        for timeframe in every_s:
            metrics.analysis_age.labels(role, timeframe).set_function(partial(self.age_s, timeframe))

    async def run(self) -> None:
        """Until cancelled."""
        async with self._desk.listen(*map(update_channel, self._known)) as messages:
            async for message in messages:
                if isinstance(message, Resumed):
                    self.resumed += 1
                    for timeframe, coins in self._known.items():
                        if coins:
                            await self._take(Update(timeframe, coins, frozenset(), True))
                else:
                    await self._heard(message)

    def learn(self, timeframe: str, coins: Sequence[str]) -> None:
        """Coins that were known to an earlier run; an update names its own."""
        if timeframe in self._known:
            self._known[timeframe] = tuple(dict.fromkeys((*self._coins, *coins)))

    def age_s(self, timeframe: str) -> float:
        """Since the coins of a timeframe were worked on last; NaN before that."""
        worked = self._worked.get(timeframe)
        return float("nan") if worked is None else (self._clock.now_ns() - worked) / SECOND

    @property
    def state(self) -> tuple[Word, str]:
        """For /health: whether updates come and can be worked on, and for which coins."""
        if self._away:
            return "degraded", self._away
        late = self._hearing.late(self._clock.now_ns())
        if late:
            return "degraded", late
        waiting = self._hearing.waiting
        if waiting:
            return "ok", f"waits for the first update of {', '.join(waiting)}"
        left = {coin: reason for found in self._left_out.values() for coin, reason in found.items()}
        coins = {coin for found in self._known.values() for coin in found}
        if coins and len(left) == len(coins):
            return "degraded", f"no coin has values; {_some(left)}"
        return "ok", f"{len(coins):,} coins" + (f", without {len(left):,}: {_some(left)}" if left else "")

    async def _heard(self, message: Message) -> None:
        try:
            update = read_update(message.channel, message.payload)
        except ValueError as error:
            self._metrics.analysis_skipped.labels(self.role, "message").inc()
            shown = message.payload[:SHOWN].decode(errors="backslashreplace")
            log.warning("analysis.message", role=self.role, channel=message.channel, reason=str(error), message=shown)
            return
        if update.timeframe not in self._known:
            return
        self._hearing.heard(update.timeframe, self._clock.now_ns())
        coins = tuple(dict.fromkeys((*self._coins, *update.coins)))
        self._known[update.timeframe] = coins
        await self._take(Update(update.timeframe, coins, update.failed))

    async def _take(self, update: Update) -> None:
        try:
            left_out = await self._work(update)
        except DeliveryError as error:  # tried again with the next update, or once the cache is back
            self._away = str(error)
            self._metrics.analysis_skipped.labels(self.role, "cache").inc()
            return
        self._away = ""
        self._worked[update.timeframe] = self._clock.now_ns()
        self._tell(update.timeframe, left_out)

    def _tell(self, timeframe: str, left_out: Mapping[str, str]) -> None:
        """Said when it changes, and not with every update."""
        if left_out != self._left_out.get(timeframe, {}):
            if left_out:
                log.warning("analysis.left_out", role=self.role, timeframe=timeframe, coins=len(left_out), text=_some(left_out))
            else:
                log.info("analysis.whole", role=self.role, timeframe=timeframe)
        self._left_out[timeframe] = left_out


def kind_of(window: NotClosed, array: bytes | None) -> str:
    """Why a coin has no values, in one word, for a metric; `array` is what the cache has of it."""
    if array is None:
        return "absent"
    if not window.candles:
        return "unreadable"
    return "short" if window.open_time is not None and window.candles < CANDLES else "hole"


def _some(left_out: Mapping[str, str]) -> str:
    """Coins by their reason, which many may share."""
    coins: dict[str, list[str]] = {}
    for coin, reason in left_out.items():
        coins.setdefault(reason, []).append(coin)
    shown = "; ".join(f"{_names(named)}: {reason}" for reason, named in list(coins.items())[:NAMED])
    rest = sum(len(named) for named in list(coins.values())[NAMED:])
    return shown + (f"; and {rest:,} more" if rest else "")


def _names(coins: list[str]) -> str:
    return ", ".join(coins[:NAMED]) + (f" and {len(coins) - NAMED:,} more" if len(coins) > NAMED else "")
