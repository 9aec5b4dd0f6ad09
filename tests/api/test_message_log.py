"""The message log over HTTP, from memory and from a real server: filters, pages, and its live tail."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api import message_log
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.clock import ManualClock, SystemClock
from marketd.metrics import Metrics
from marketd.model.message_log import STREAM, Source
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache import Cache, MessageLogConfig, Note, Publish, Write, open_memory, open_redis
from marketd.stores.cache.cache import place_of
from tests.daemons import eventually
from tests.redis_server import RedisServer

LOG = "/api/redis/log"
LIVE = "/api/redis/log/live"


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, clock: ManualClock, redis_server: RedisServer) -> AsyncIterator[Cache]:
    if request.param == "memory":
        async with open_memory(clock, Metrics()) as memory:
            yield memory
        return
    link = RedisLink(RedisConfig(url=SecretUrl(redis_server.url)), "marketd-test", SystemClock())
    async with open_redis(link, MessageLogConfig(), SystemClock(), Metrics()) as redis:
        yield redis


@asynccontextmanager
async def served(views: Views, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with run_api(ApiConfig(port=0), views, directory) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture
async def asking(only: Views, cache: Cache, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(replace(only, cache=cache), tmp_path) as client:
        yield client


async def events_of(answer: httpx.Response, count: int) -> list[dict[str, str]]:
    """The next `count` events, without comments."""
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, text = line.partition(": ")
        if line and name:
            event[name] = text
        elif event and "data" in event:
            found.append(event)
            event = {}
            if len(found) == count:
                break
        elif not line:
            event = {}
    return found


async def test_entries_are_shown_newest_first_with_all_their_fields(asking: httpx.AsyncClient, cache: Cache) -> None:
    await cache.of("market-data").do(Write("market:price:BTCUSDT", b"{}", 60), Publish("market:update:1h", b"123"))
    rows = (await asking.get(LOG)).json()

    assert [
        ("publish", "market:update:1h", "market-data", 3),
        ("cache_write", "market:price:BTCUSDT", "market-data", 2),
    ] == [(row["type"], row["channel"], row["source"], row["payload_size"]) for row in rows]
    assert "ttl=60" in rows[1]["summary"]
    assert {"id", "type", "channel", "source", "summary", "payload_size", "timestamp"} == rows[0].keys()


async def test_it_is_filtered(asking: httpx.AsyncClient, cache: Cache) -> None:
    for number in range(30):
        await cache.of("ta-service").do(Publish(f"market:signal:{number % 3}", b"1", signal=True, summary=str(number)))
        await cache.of("trader-bot").do(Note("trade", "market:signal:0", str(number)))

    async def shown(**asked: Any) -> list[str]:
        answer = await asking.get(LOG, params={"limit": 100, **asked})
        return [row["summary"] for row in answer.json()]

    assert [str(number) for number in range(29, -1, -1)] == await shown(type="signal", source="ta-service")
    assert [str(number) for number in range(27, -1, -3)] == await shown(type="signal", channel="market:signal:0")
    assert [] == await shown(type="signal", source="trader-bot")
    assert ["29", "29"] == await shown(limit=2)
    assert [] == await shown(since="2099-01-01")
    assert 60 == len(await shown(since="2001-01-01T00:00:00Z"))


async def test_pages_hold_each_entry_once_while_others_write(asking: httpx.AsyncClient, cache: Cache) -> None:
    desk = cache.of("dashboard")
    await desk.do(*(Note("error", "x", str(number)) for number in range(1000)))
    stop = asyncio.Event()

    async def write() -> None:
        for number in range(1000, 9000, 5):
            await desk.do(*(Note("error", "x", str(number + one)) for one in range(5)))
            await asyncio.sleep(0.001)
            if stop.is_set():
                return

    async def read() -> list[int]:
        found, cursor = [], None
        while True:
            answer = await asking.get(LOG, params={"limit": 70} | ({"cursor": cursor} if cursor else {}))
            found += [int(row["summary"]) for row in answer.json()]
            cursor = answer.headers.get("X-Next-Cursor")
            if cursor is None:
                return found

    writing = asyncio.ensure_future(write())
    found = await read()
    stop.set()
    await writing

    assert list(range(found[0], found[-1] - 1, -1)) == found
    assert len(found) >= 1000


# What is asked, and which of each source's numbers it lets through.
Takes = Callable[[str, int], bool]
OF_BOT = {"type": "publish", "source": "trader-bot", "channel": "c:0"}
FILTERS: list[tuple[dict[str, str], Takes]] = [
    ({}, lambda source, number: True),
    ({"type": "signal", "source": "ta-service"}, lambda source, number: source == "ta-service" and number % 2 == 1),
    ({"channel": "c:1"}, lambda source, number: number % 3 == 1),
    (OF_BOT, lambda source, number: source == "trader-bot" and number % 6 == 0),
]


async def test_filters_pages_and_tail_hold_under_load_while_the_oldest_make_room(asking: httpx.AsyncClient, cache: Cache) -> None:
    written: dict[str, int] = dict.fromkeys(("market-data", "ta-service", "trader-bot"), 0)
    stop = asyncio.Event()
    for _ in range(99):
        await cache.of("dashboard").do(*(Note("error", "old", "") for _ in range(100)))

    async def write(source: Source) -> None:
        while not stop.is_set():
            numbers = range(written[source], written[source] + 10)
            await cache.of(source).do(
                *(Publish(f"c:{one % 3}", b"x" * (one % 50), signal=one % 2 == 1, summary=str(one)) for one in numbers)
            )
            written[source] = numbers.stop
            await asyncio.sleep(0.001)

    async def read(asked: dict[str, str], takes: Takes) -> None:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(rows) < 2000:
            more = {"limit": 170, "since": began} | asked | ({"cursor": cursor} if cursor else {})
            answer = await asking.get(LOG, params=more)
            rows += [row for row in answer.json() if row["channel"] != "old"]
            cursor = answer.headers.get("X-Next-Cursor")
            if cursor is None:
                break
        for source in written:
            found = [int(row["summary"]) for row in rows if row["source"] == source]
            expected = [one for one in range(found[0], found[-1] - 1, -1) if takes(source, one)] if found else []

            assert expected == found, (asked, source)
        assert all(int(row["summary"]) % 50 == row["payload_size"] for row in rows)
        assert [row["id"] for row in rows] == sorted({row["id"] for row in rows}, key=place_of, reverse=True)
        checked.append(len(rows))

    async def tail() -> None:
        async with asking.stream("GET", LIVE, params={"type": "signal", "source": "trader-bot"}) as answer:
            numbers = [int(json.loads(one["data"])["summary"]) for one in await events_of(answer, 400)]

        assert list(range(numbers[0], numbers[0] + 800, 2)) == numbers

    checked: list[int] = []
    began = (await asking.get(LOG, params={"limit": 1})).json()[0]["timestamp"]
    async with asyncio.timeout(60), asyncio.TaskGroup() as writers:
        for source in ("market-data", "ta-service", "trader-bot"):
            writers.create_task(write(source))
        try:
            await eventually(lambda: min(written.values()) >= 800)
            async with asyncio.TaskGroup() as readers:
                readers.create_task(tail())
                for _ in range(2):
                    for one in FILTERS:
                        readers.create_task(read(*one))
        finally:
            stop.set()

    assert len(checked) == 2 * len(FILTERS)
    assert min(checked) > 100


REFUSED = [
    ("type=nonsense", "type"), ("source=me", "source"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
    ("limit=-1", "limit"), ("since=yesterday", "since"), ("cursor=x", "cursor"), ("cursor=1-2-3", "cursor"),
    ("cursor=" + "9" * 51, "cursor"), ("channel=", "channel"), ("more=1", "more"), ("type=signal&type=trade", "type"),
    ("cursor=99999999999999999999999-0", "cursor"),
]  # fmt: skip


async def test_what_cannot_be_answered_is_refused_with_what_can(asking: httpx.AsyncClient) -> None:
    answers = [await asking.get(f"{LOG}?{query}") for query, _ in REFUSED]

    assert [(400, parameter) for _, parameter in REFUSED] == [(one.status_code, one.json()["parameter"]) for one in answers]
    assert all(one.json()["allowed"] for one in answers)


async def test_a_process_without_the_cache_says_so(only: Views, tmp_path: Path) -> None:
    async with served(only, tmp_path) as client:
        for path in (LOG, LIVE):
            answer = await client.get(path)

            assert (404, "role cache, scanner, ta or trader does not run here") == (answer.status_code, answer.json()["error"])


async def test_a_server_that_is_away_is_a_503(only: Views, tmp_path: Path) -> None:
    link = RedisLink(RedisConfig(url=SecretUrl("redis://127.0.0.1:1/0")), "marketd-test", SystemClock())
    opening = open_redis(link, MessageLogConfig(), SystemClock(), Metrics())
    async with opening as cache, served(replace(only, cache=cache), tmp_path) as client:
        for path in (LOG, LIVE):
            answer = await client.get(path)

            assert (503, "2") == (answer.status_code, answer.headers["Retry-After"])


async def test_the_tail_shows_what_comes_filtered_and_goes_on_where_it_was(asking: httpx.AsyncClient, cache: Cache) -> None:
    desk = cache.of("ta-service")
    await desk.do(Note("signal", "x", "before"))
    async with asyncio.timeout(20), asking.stream("GET", LIVE, params={"type": "signal"}) as answer:
        await desk.do(*(Note("signal" if number % 2 else "error", "x", str(number)) for number in range(6)))
        live = await events_of(answer, 3)
    await desk.do(Note("signal", "x", "7"))
    again = {"Last-Event-ID": live[1]["id"]}
    async with asyncio.timeout(20), asking.stream("GET", LIVE, params={"type": "signal"}, headers=again) as answer:
        missed = await events_of(answer, 2)

    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert ["1", "3", "5"] == [json.loads(one["data"])["summary"] for one in live]
    assert ["5", "7"] == [json.loads(one["data"])["summary"] for one in missed]
    assert all(json.loads(one["data"])["id"] == one["id"] for one in live)


async def test_an_id_that_is_none_is_refused(asking: httpx.AsyncClient) -> None:
    for id in ("x", "1", "-"):
        answer = await asking.get(LIVE, headers={"Last-Event-ID": id})

        assert (400, "Last-Event-ID") == (answer.status_code, answer.json()["parameter"])


async def test_a_tail_that_was_away_too_long_is_told_what_is_gone(asking: httpx.AsyncClient, cache: Cache) -> None:
    desk = cache.of("dashboard")
    await desk.do(Note("error", "x", "first"))
    first = (await asking.get(LOG)).json()[0]["id"]
    for _ in range(130):
        await desk.do(*(Note("error", "x", "y") for _ in range(100)))
    async with asyncio.timeout(20), asking.stream("GET", LIVE, headers={"Last-Event-ID": first}) as answer:
        (gone,) = await events_of(answer, 1)

    assert ("gone", {"reason": f"entries after {first} are gone"}) == (gone["event"], json.loads(gone["data"]))


async def test_no_more_follow_at_once_than_allowed(asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_log, "TAILS_MAX", 1)
    async with asking.stream("GET", LIVE) as answer:
        going_on = answer.aiter_raw()
        await anext(going_on)
        refused = await asking.get(LIVE)

    assert (503, 1) == (refused.status_code, refused.json()["allowed"])
    async with asyncio.timeout(20):
        while True:  # the one that left is gone in a moment
            async with asking.stream("GET", LIVE) as answer:
                if answer.status_code == 200:
                    break


async def test_a_quiet_tail_says_that_it_lives(asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_log, "QUIET_S", 0.1)
    async with asyncio.timeout(20), asking.stream("GET", LIVE) as answer:
        async for line in answer.aiter_lines():
            if line == ": quiet":
                break


async def test_tails_end_cleanly_when_the_api_does(only: Views, cache: Cache, tmp_path: Path) -> None:
    said: list[str] = []

    async def read(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", LIVE) as answer:
            async for line in answer.aiter_lines():
                said.append(line)
                if line.startswith("retry"):
                    ready.set()

    ready = asyncio.Event()
    async with httpx.AsyncClient(timeout=20) as client:
        async with run_api(ApiConfig(port=0), replace(only, cache=cache), tmp_path) as url:
            client.base_url = httpx.URL(url)
            reading = asyncio.ensure_future(read(client))
            await ready.wait()
        await reading  # no error: the last chunk came

    assert "event: end" in said


async def test_a_log_that_cannot_be_read_any_more_ends_the_tail(redis_server: RedisServer, only: Views, tmp_path: Path) -> None:
    link = RedisLink(RedisConfig(url=SecretUrl(redis_server.url)), "marketd-test", SystemClock())
    opening = open_redis(link, MessageLogConfig(), SystemClock(), Metrics())
    async with opening as cache, served(replace(only, cache=cache), tmp_path) as client, asyncio.timeout(20):
        async with client.stream("GET", LIVE) as answer:
            await cache.of("dashboard").do(Note("error", "x", "y"))
            first = await events_of(answer, 1)
        async with client.stream("GET", LIVE, headers={"Last-Event-ID": first[0]["id"]}) as answer:
            redis_server.command("SET", STREAM, "no stream any more")
            last = await events_of(answer, 1)

    assert [("end", "the log cannot be read now")] == [(one["event"], one["data"]) for one in last]


async def test_those_that_come_at_once_are_no_more_than_allowed(
    asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "TAILS_MAX", 2)
    asked = [asking.send(asking.build_request("GET", LIVE), stream=True) for _ in range(6)]
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*asked)
        found = sorted(answer.status_code for answer in answers)
        for answer in answers:
            await answer.aclose()

    assert found == [200, 200, 503, 503, 503, 503]
