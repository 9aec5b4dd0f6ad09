"""Publishing into a stream of a real server, also over a way that loses messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from marketd.clock import SystemClock
from marketd.errors import Unreachable
from marketd.net.nats import NatsConfig, open_link
from marketd.net.nats_api import ask
from marketd.net.nats_publish import Batches, Inbox, Line, Message, OneEach, message
from marketd.net.nats_session import Session
from marketd.net.nats_stream import StreamConfig, open_stream
from tests.nats_servers import NatsServer, kept

PREFIX = "md.events"


class LossyInbox(Inbox):
    """Loses the messages with these numbers on their way, each once, as a leader does that dies."""

    def __init__(self, session: Session, lost: set[bytes]) -> None:
        super().__init__(session)
        self.session = Lossy(session, lost)  # type: ignore[assignment]


class Lossy:
    def __init__(self, session: Session, lost: set[bytes]) -> None:
        self._session, self._lost = session, lost
        self.client, self.gone, self.server = session.client, session.gone, session.server
        self.at_most = session.at_most

    async def send(self, data: bytes) -> None:
        for one in sorted(self._lost):
            begin = data.find(b"NATS/1.0\r\nNats-Msg-Id: %s\r\n" % one)
            if begin >= 0:
                self._lost.discard(one)
                begin = data.rfind(b"HPUB", 0, begin)
                end = data.find(b"HPUB", begin + 4)
                data = data[:begin] + (data[end:] if end > 0 else b"")
        if data:
            await self._session.send(data)


@asynccontextmanager
async def inbox_to(server: NatsServer, lost: set[bytes] | None = None) -> AsyncIterator[Inbox]:
    settings = NatsConfig.model_validate({"url": server.url, "enabled": True})
    async with open_link(settings, "marketd-test", SystemClock()) as link:
        session = await link.opened()
        await open_stream(session, StreamConfig(), PREFIX)
        async with LossyInbox(session, lost or set()) as inbox:
            yield inbox


def messages(first: int, last: int, subjects: int = 3) -> list[Message]:
    return [
        message(f"{PREFIX}.trade.S{number % subjects}".encode(), f"id-{number}", b"%d" % number)
        for number in range(first, last + 1)
    ]


async def numbers(server: NatsServer) -> list[int]:
    return [int(one.data) for one in await kept(server.url)]


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 5000])
async def test_a_batch_is_stored_whole_and_in_order(nats_server: NatsServer, count: int) -> None:
    async with inbox_to(nats_server) as inbox:
        left = await Batches(inbox).store(Line(messages(1, count)))

    assert ([], None) == (list(left.messages), left.error)
    assert list(range(1, count + 1)) == await numbers(nats_server)


def test_a_message_is_made_when_its_turn_comes() -> None:
    coming = iter(messages(1, 10))
    line = Line(coming)

    assert (3, False) == (line.make(3), line.is_whole)
    assert 6 == len(list(coming))  # one is held ready, since the last one has to be known as such
    assert (4, True) == (line.make(9), line.is_whole)
    assert messages(4, 4) == line.after(3)
    assert (0, True) == (Line(()).make(1), Line(()).is_whole)


async def test_nothing_in_an_id_ends_the_message(nats_server: NatsServer) -> None:
    ids = ["a b", "a\r\n\r\nb", "a\nNats-Rollup: all", "ä"]
    async with inbox_to(nats_server) as inbox:
        for _ in range(2):
            left = await Batches(inbox).store(Line([message(b"md.events.trade.S", one, one.encode()) for one in ids]))

            assert [] == list(left.messages)

    assert [one.encode() for one in ids] == [one.data for one in await kept(nats_server.url)]


async def test_what_comes_again_is_there_once(nats_server: NatsServer) -> None:
    async with inbox_to(nats_server) as inbox:
        for first, last in ((1, 1000), (1, 1), (400, 1200), (1200, 1200), (1000, 1001), (1190, 1300)):
            assert [] == list((await Batches(inbox).store(Line(messages(first, last)))).messages)

    assert list(range(1, 1301)) == await numbers(nats_server)


@pytest.mark.parametrize("lost", [1, 2, 7, 255, 256, 999, 1000])
async def test_nothing_is_stored_behind_a_message_that_was_lost(nats_server: NatsServer, lost: int) -> None:
    async with inbox_to(nats_server, {b"id-%d" % lost}) as inbox:
        first = await Batches(inbox).store(Line(messages(1, 1000)))
        stored = await numbers(nats_server)
        again = await Batches(inbox).store(Line(first.messages))

    assert list(range(1, lost)) == stored
    assert (messages(lost, 1000), []) == (list(first.messages), list(again.messages))
    assert first.is_passing is (lost > 1)  # silence may go on
    assert list(range(1, 1001)) == await numbers(nats_server)


async def test_without_batches_a_lost_message_holds_up_its_own_subject_alone(nats_server: NatsServer) -> None:
    async with inbox_to(nats_server, {b"id-7"}) as inbox:
        first = await OneEach(inbox).store(Line(messages(1, 30)))
        stored = await numbers(nats_server)
        again = await OneEach(inbox).store(Line(first.messages))

    assert (messages(7, 30)[::3], []) == (list(first.messages), list(again.messages))
    assert sorted(set(range(1, 31)) - set(range(7, 31, 3))) == sorted(stored)
    for subject in range(3):
        found = [number for number in await numbers(nats_server) if number % 3 == subject]

        assert sorted(found) == found
        assert 10 == len(found)


@pytest.mark.parametrize("way", [Batches, OneEach])
async def test_what_no_stream_takes_is_left_and_said(nats_server: NatsServer, way: type[Batches | OneEach]) -> None:
    async with inbox_to(nats_server) as inbox:
        left = await way(inbox).store(Line([message(b"elsewhere.x", "id-1", b"1"), *messages(2, 3)]))

        assert "no stream takes it just now" == getattr(left.error, "description", "")
        assert b"elsewhere.x" == left.messages[0].subject
        assert left.is_passing


async def test_a_stream_that_takes_no_batches_any_more_says_so(nats_server: NatsServer) -> None:
    async with inbox_to(nats_server) as inbox:
        session = inbox.session
        config = (await ask(session, "STREAM.INFO.MD_EVENTS"))["config"]
        await ask(session, "STREAM.UPDATE.MD_EVENTS", config | {"allow_batched": False})
        left = await Batches(inbox).store(Line(messages(1, 10)))
        again = await OneEach(inbox).store(Line(left.messages))

    assert (10, False, 0) == (len(left.messages), left.is_passing, len(again.messages))
    assert "batch publish is disabled" == getattr(left.error, "description", "")


async def test_the_end_of_the_connection_ends_the_waiting(nats_server: NatsServer) -> None:
    async with inbox_to(nats_server) as inbox:
        await Batches(inbox).store(Line(messages(1, 10)))
        nats_server.kill()
        with pytest.raises(Unreachable):
            await Batches(inbox).store(Line(messages(11, 5000)))
