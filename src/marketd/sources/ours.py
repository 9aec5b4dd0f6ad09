"""Whether an event in our own form is also written as we write it, or in another notation that happens to fit."""

from functools import lru_cache

import msgspec

from marketd.model.events import SYSTEM, Candle, Event, Gap, Heartbeat, Status, Trade

WORDS_MAX = 300  # letters of a cause or reason
NAME_MAX = 40  # letters of a venue or symbol
NAMES_MAX = 16_384  # that are remembered as well written
RAW_MAX = 4_096  # letters of a venue's own object; a trade with a longer one is taken without it
NS_MIN = 10**17  # a smaller number is no time in ns: 1973


def is_ours(event: Event) -> bool:
    """What fits our form may still be in another notation: a time in ms, `btc-usd`."""
    venue, symbol, ts_event = event.venue, event.symbol, event.ts_event
    return (
        event.ts_recv >= NS_MIN
        and (ts_event is None or ts_event >= NS_MIN)
        and len(venue) <= NAME_MAX
        and len(symbol) <= NAME_MAX
        and _is_venue(venue)
        and (symbol == SYSTEM or _is_symbol(symbol))
        and _is_short(event)
    )


def _is_short(event: Event) -> bool:
    """Whether its texts are as short as those of events read by their fields are made."""
    if isinstance(event, Trade):
        return event.raw is msgspec.UNSET or len(event.raw) <= RAW_MAX
    if isinstance(event, Status | Heartbeat):
        return len(event.reason) <= WORDS_MAX
    if isinstance(event, Gap):
        return len(event.cause) <= WORDS_MAX
    return not isinstance(event, Candle) or len(event.timeframe) <= NAME_MAX


@lru_cache(NAMES_MAX)
def _is_venue(name: str) -> bool:
    return name.isascii() and name == name.lower() and name.replace("_", "").isalnum()


@lru_cache(NAMES_MAX)
def _is_symbol(name: str) -> bool:
    return name == name.upper() and name.replace(".", "").isalnum()
