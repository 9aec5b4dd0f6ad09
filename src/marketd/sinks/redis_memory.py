"""How much memory the streams need when they are full, against what the server may use; and their trim by age."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import structlog

from marketd.clock import Clock
from marketd.errors import Unreachable
from marketd.metrics import Metrics
from marketd.net.redis import RedisConfig, RedisLink, asked
from marketd.net.redis_wire import RedisWire, ReplyError
from marketd.sinks.redis_entry import stream_of

BYTES_PER_ENTRY = 260.0  # measured on Valkey 9 with trades of Binance and their raw text; until there are entries to measure
SURPLUS = 100  # entries that an approximate trim leaves above the limit at most: one node of a stream
SAMPLES = 16  # streams whose entries are weighed
FIRST_S, EVERY_S = 1.0, 10.0
ASK_S = 10.0
MIB = 1024 * 1024
log = structlog.get_logger("redis")


@dataclass(frozen=True)
class Budget:
    """The memory that the streams take when each is as long as it may get, and what the server has."""

    streams: int
    maxlen: int
    bytes_per_entry: float
    maxmemory: int = 0  # bytes; 0: the server sets itself no limit
    used: int = 0  # bytes, now
    policy: str = "noeviction"

    @property
    def needed(self) -> int:
        return round(self.streams * (self.maxlen + SURPLUS) * self.bytes_per_entry)

    @property
    def exceeds(self) -> bool:
        return 0 < self.maxmemory < self.needed

    @property
    def evicts(self) -> bool:
        """Whether the server may remove whole streams to make room for others."""
        return self.maxmemory > 0 and self.policy.startswith("allkeys")

    @property
    def text(self) -> str:
        of = f"of maxmemory {_size(self.maxmemory)} ({self.policy})" if self.maxmemory else "(the server has no maxmemory)"
        each = f"{self.streams:,} streams x {self.maxlen:,} entries x {self.bytes_per_entry:.0f} bytes"
        return f"up to {_size(self.needed)} {of}: {each}"


async def weigh(link: RedisLink, wire: RedisWire, symbols: Sequence[str], maxlen: int) -> Budget:
    """The budget for the streams of these symbols, by what their entries weigh now. Raises Unreachable."""
    sample = symbols[:: max(1, len(symbols) // SAMPLES)][:SAMPLES]
    questions = [
        question for symbol in sample for question in (("MEMORY", "USAGE", stream_of(symbol)), ("XLEN", stream_of(symbol)))
    ]
    info, *answers = await asked(link, wire, ("INFO", "memory"), *questions, within_s=ASK_S)
    weighed = [
        (weight, length)
        for weight, length in zip(answers[::2], answers[1::2], strict=True)
        if isinstance(weight, int) and isinstance(length, int) and length > SURPLUS  # a short one is mostly its frame
    ]
    entries = sum(length for _, length in weighed)
    each = sum(weight for weight, _ in weighed) / entries if entries else BYTES_PER_ENTRY
    said = {} if isinstance(info, ReplyError) else _info(cast(bytes, info))
    return Budget(
        len(symbols),
        maxlen,
        each,
        int(said.get("maxmemory", "0")),
        int(said.get("used_memory", "0")),
        said.get("maxmemory_policy", "noeviction"),
    )


class StreamsCare:
    """What is done about the streams beside writing: their trim by age, and a look at the memory."""

    def __init__(self, config: RedisConfig, link: RedisLink, clock: Clock, metrics: Metrics) -> None:
        self.budget: Budget | None = None  # as weighed last
        self._config, self._link, self._clock, self._metrics = config, link, clock, metrics
        self._is_said = False

    async def run(self, symbols: Callable[[], Sequence[str]]) -> None:
        """Until cancelled; while the server is away nothing is done."""
        wire: RedisWire | None = None
        pause_s = FIRST_S
        try:
            while True:
                await self._clock.sleep(pause_s)
                try:
                    if wire is None or not wire.is_open:
                        wire = await self._link.open("care")
                    names = symbols()
                    if self._config.stream_max_age_s is not None and names:
                        await self.trim(wire, names, self._config.stream_max_age_s)
                    if names:
                        pause_s = EVERY_S
                        self._take(await weigh(self._link, wire, names, self._config.stream_maxlen))
                except Unreachable:
                    continue
        finally:
            if wire is not None:
                await wire.close("closed")

    async def trim(self, wire: RedisWire, symbols: Sequence[str], age_s: float) -> None:
        """By the server's clock, which is the one that numbered the entries."""
        (time,) = await asked(self._link, wire, ("TIME",), within_s=ASK_S)
        if isinstance(time, ReplyError):
            return
        seconds, micros = map(int, cast(list[bytes], time))
        oldest_ms = max(0, seconds * 1000 + micros // 1000 - int(age_s * 1000))
        await asked(self._link, wire, *(("XTRIM", stream_of(symbol), "MINID", oldest_ms) for symbol in symbols), within_s=ASK_S)

    def _take(self, budget: Budget) -> None:
        self.budget = budget
        self._metrics.redis_needed.set(budget.needed)
        self._metrics.redis_maxmemory.set(budget.maxmemory)
        is_wrong = budget.exceeds or budget.evicts
        if is_wrong and not self._is_said:
            why = "the streams can outgrow it" if budget.exceeds else "its policy may remove whole streams"
            log.warning("redis.memory", url=self._link.state.url, text=f"redis: {budget.text}; {why}")
        self._is_said = is_wrong


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, _, value in lines}


def _size(count: int) -> str:
    return f"{count / MIB / 1024:.1f} GiB" if count >= 1024 * MIB else f"{count / MIB:.1f} MiB"
