"""What the candle cache announces on `market:update:{timeframe}`, and how long ago it was heard."""

from typing import Any

import msgspec

from marketd.model.cached import update_channel
from marketd.model.foreign import reader_of

COINS_MAX = 2_000  # of one message; a cache has a few dozen
SYMBOL_MAX = 40  # letters
LATE = 2  # times the cadence without an update: the cache is behind, or gone
SECOND = 1_000_000_000


class Update(msgspec.Struct, frozen=True):
    """A timeframe was refreshed."""

    timeframe: str
    coins: tuple[str, ...]  # all that the cache keeps, those that failed this time included, each once
    failed: frozenset[str]  # the venue gave no candles for them this time; what is cached lives until its TTL
    resumed: bool = False  # nothing was announced: the way to the cache is there (again)


class _Wire(msgspec.Struct):
    symbols: list[Any]
    failed: list[Any] = []


_decode = reader_of(_Wire)


def read_update(channel: str, payload: bytes) -> Update:
    """The timeframe is that of the channel. Raises ValueError that says what is wrong with the message."""
    try:
        wire = _decode(payload)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    named = [*wire.symbols, *wire.failed]
    if len(named) > COINS_MAX:
        raise ValueError(f"names {len(named):,} coins, expected at most {COINS_MAX:,}")
    wrong = next((one for one in named if not _is_symbol(one)), None)
    if wrong is not None:
        raise ValueError(f"{str(wrong)[:SYMBOL_MAX]!r} is no symbol, expected letters and digits as BTCUSDT")
    return Update(channel.removeprefix(update_channel("")), tuple(dict.fromkeys(named)), frozenset(wire.failed))


def _is_symbol(word: object) -> bool:
    return isinstance(word, str) and 0 < len(word) <= SYMBOL_MAX and word.isascii() and word.isalnum()


class Hearing:
    """When each timeframe was announced last. All times are ns."""

    def __init__(self, every_s: dict[str, float], since: int) -> None:
        """`every_s` is how often the cache refreshes each timeframe; `since` is when listening began."""
        self._every_s, self._since = every_s, since
        self._heard: dict[str, int] = {}

    def heard(self, timeframe: str, now: int) -> None:
        if timeframe in self._every_s:
            self._heard[timeframe] = now

    def late(self, now: int) -> str:
        """Which timeframe was not announced for twice its cadence; empty while all is well."""
        for timeframe, every_s in self._every_s.items():
            last = self._heard.get(timeframe)
            silent_s = (now - (self._since if last is None else last)) / SECOND
            if silent_s > LATE * every_s:
                ever = f"no update of {timeframe} for {silent_s:,.0f} s" if last is not None else f"no update of {timeframe} yet"
                return f"{ever}, expected every {every_s:g} s on {update_channel(timeframe)}"
        return ""

    @property
    def waiting(self) -> list[str]:
        """The timeframes that were not announced yet."""
        return [timeframe for timeframe in self._every_s if timeframe not in self._heard]
