"""The message log as it stands in Redis: in pages, newest first, and as it grows."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from marketd.errors import DeliveryError
from marketd.model.message_log import STREAM, entry_of
from marketd.net.redis import RedisLink, asked
from marketd.net.redis_wire import RedisWire, ReplyError, Word, refusal
from marketd.stores.cache.cache import FOLLOW_S, Logged, LogPage, Resumed, Wanted, logged, place_of

ASK_S = 5.0
CHUNK = 1000  # entries in one answer
CHUNKS_MAX = 30  # looked through for one page: a log is about ten chunks long


async def page(link: RedisLink, wanted: Wanted, limit: int, cursor: str | None) -> LogPage:
    """As Cache.log says. Where few entries fit, a page may be short and have a cursor all the same."""
    end = "+" if cursor is None else _before(cursor)
    start = str(-(-wanted.since // 1_000_000))
    found: list[Logged] = []
    async with await link.open("log") as wire:
        for _ in range(CHUNKS_MAX):
            entries = _entries(link, await _ask(link, wire, "XREVRANGE", STREAM, end, start, "COUNT", CHUNK))
            for entry in entries:
                if wanted.takes(entry):
                    if len(found) == limit:
                        return LogPage(found, found[-1].id)
                    found.append(entry)
            if len(entries) < CHUNK:
                return LogPage(found, None)
            end = _before(entries[-1].id)
    return LogPage(found, entries[-1].id)


async def follow(link: RedisLink, after: str | None) -> AsyncIterator[Sequence[Logged] | Resumed]:
    """As Cache.follow says."""
    at = after
    if at is not None:
        place_of(at)
    async with await link.open("tail") as wire:
        is_behind = at is not None
        if at is None:
            newest = _entries(link, await _ask(link, wire, "XREVRANGE", STREAM, "+", "-", "COUNT", 1))
            at = newest[0].id if newest else "0-0"
            yield []
        while True:
            if is_behind and await _is_gone(link, wire, at):
                yield Resumed(f"entries after {at} are gone")
            block = int(FOLLOW_S * 1000)
            answer = await _ask(link, wire, "XREAD", "COUNT", CHUNK, "BLOCK", block, "STREAMS", STREAM, at)
            batch = _entries(link, answer[0][1] if isinstance(answer, list) else answer)
            yield batch
            is_behind = len(batch) == CHUNK
            at = batch[-1].id if batch else at


async def _is_gone(link: RedisLink, wire: RedisWire, at: str) -> bool:
    """Whether entries after this one made room already: it is gone itself, and so is all before the first."""
    here = _entries(link, await _ask(link, wire, "XRANGE", STREAM, at, at))
    first = _entries(link, await _ask(link, wire, "XRANGE", STREAM, "-", "+", "COUNT", 1))
    return not here and bool(first) and place_of(first[0].id) > place_of(at)


async def _ask(link: RedisLink, wire: RedisWire, *words: Word) -> Any:
    (answer,) = await asked(link, wire, words, within_s=ASK_S)
    return answer


def _entries(link: RedisLink, answer: Any) -> list[Logged]:
    if isinstance(answer, ReplyError):
        raise DeliveryError(f"redis: {link.state.url}: {STREAM}: {refusal(answer)}")
    pairs = cast(list[tuple[bytes, list[bytes]]], answer or [])
    return [logged(id.decode(), entry_of(_fields(words))) for id, words in pairs]


def _fields(words: Sequence[bytes]) -> dict[str, str]:
    texts = [word.decode("utf-8", "replace") for word in words]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _before(id: str) -> str:
    """The greatest id that is less."""
    ms, number = place_of(id)
    if number:
        return f"{ms}-{number - 1}"
    return f"{ms - 1}-{2**64 - 1}" if ms else "0-0"
