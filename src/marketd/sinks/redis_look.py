"""Questions about the streams: which cannot be written, what stands in them and what does not."""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Protocol, cast

from marketd.errors import Declined
from marketd.model.events import Trade
from marketd.net.redis_wire import ReplyError, Word, refusal
from marketd.sinks.redis_entry import FIELDS, stream_of
from marketd.sinks.redis_held import BEFORE_NS

PAGE = 1000  # entries of a stream read in one go
LAST_ID = b"18446744073709551615-18446744073709551615"
NO_ID_LEFT = "has the highest last id there is, so nothing can be added; rename or delete it, or lower the id with XSETID"


class Ask(Protocol):
    """Commands to a server, and its answers."""

    async def __call__(self, *commands: tuple[Word, ...]) -> list[Any]: ...


async def wrong_streams(ask: Ask, symbols: Sequence[str]) -> dict[str, str]:
    """Whose stream cannot be written, and why: under the key there must be a stream with room for one more, or nothing.

    Raises Declined where the server does not say.
    """
    questions = [question for one in symbols for question in (("TYPE", stream_of(one)), ("XINFO", "STREAM", stream_of(one)))]
    answers = await ask(*questions)
    found: dict[str, str] = {}
    for symbol, kind, info in zip(symbols, answers[::2], answers[1::2], strict=True):
        if isinstance(kind, ReplyError):
            if not str(kind).startswith("NOPERM") or " key" not in str(kind):
                raise Declined(f"redis: {stream_of(symbol)}: {refusal(kind)}; trades wait, nothing is lost")
            found[symbol] = reason_of(kind)
        elif kind not in (b"none", b"stream"):
            found[symbol] = f"holds a {cast(bytes, kind).decode()}, expected a stream; rename or delete it"
        elif isinstance(info, list) and LAST_ID in info:
            found[symbol] = NO_ID_LEFT
    return found


def reason_of(refused: Exception) -> str:
    """Why one stream did not take an entry."""
    words = str(refused)
    if words.startswith("WRONGTYPE"):
        return "holds no stream; rename or delete it"
    return NO_ID_LEFT if "exhausted" in words else f"takes no entry: {refusal(refused)}"


async def look_back(ask: Ask, symbol: str, since: int) -> AsyncIterator[list[tuple[str, str]]]:
    """Venue and trade id of the entries of a stream, newest first, back to those added before `since` (ns). Raises Declined."""
    end = "+"
    while True:
        (answer,) = await ask(("XREVRANGE", stream_of(symbol), end, "-", "COUNT", PAGE))
        if isinstance(answer, ReplyError):
            raise Declined(f"redis: {stream_of(symbol)}: {refusal(answer)}; trades wait, nothing is lost")
        entries = cast(list[tuple[bytes, list[bytes]]], answer)
        yield list(map(_identity, entries))
        if len(entries) < PAGE:
            return
        ms, _, seq = entries[-1][0].partition(b"-")
        if int(ms) * 1_000_000 < since:
            return
        end = f"{int(ms)}-{int(seq) - 1}" if int(seq) else f"{int(ms) - 1}-{2**64 - 1}"


async def missing(ask: Ask, trades: Sequence[Trade]) -> dict[int, str]:
    """Which of these a transaction did not write, by their place in it, and why: of each stream those after the newest there.

    Raises Declined where the server does not say.
    """
    places: dict[str, dict[tuple[str, str], int]] = {}
    for place, trade in enumerate(trades):
        places.setdefault(trade.symbol, {})[trade.venue, trade.trade_id] = place
    wrong = await wrong_streams(ask, list(places))
    found: dict[int, str] = {}
    for symbol, its in places.items():
        there: list[int] = []
        with suppress(Declined) if symbol in wrong else nullcontext():
            since = min(trades[place].ts_event or 0 for place in its.values()) - BEFORE_NS
            async for page in look_back(ask, symbol, since):
                if there := [its[one] for one in page if one in its]:
                    break
        reason = wrong.get(symbol, "could not be written for a while")
        found |= dict.fromkeys((place for place in its.values() if place > max(there, default=-1)), reason)
    return found


def run_of(info: object) -> bytes:
    """The server's run, of what INFO said."""
    lines = info.splitlines() if isinstance(info, bytes) else []
    return next((line.partition(b":")[2].strip() for line in lines if line.startswith(b"run_id:")), b"")


def _identity(entry: tuple[bytes, Sequence[bytes]]) -> tuple[str, str]:
    """Entries of another program may have other fields, or these in another order."""
    words = entry[1]
    fields = dict(zip(words[::2], words[1::2], strict=False))
    return fields.get(FIELDS[0].encode(), b"").decode("utf-8", "replace"), fields.get(b"trade_id", b"").decode("utf-8", "replace")
