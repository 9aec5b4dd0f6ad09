"""What JetStream of a real server answers, and what is said where it does not."""

import asyncio

import pytest

from marketd.errors import Unreachable
from marketd.net import nats_api
from marketd.net.nats import NatsLink
from marketd.net.nats_api import NoAnswer, NoJetStream, NotTaken, NotThere, ask, latest, stored_at
from tests.members import STREAM, linked, make_events_stream, store, trade
from tests.nats_servers import NatsServer


async def fill(link: NatsLink, count: int) -> None:
    await make_events_stream(link)
    await store(link, [trade("BTCUSDT" if number % 2 else "ETHUSDT", number) for number in range(count)])


async def test_what_is_declined_comes_with_the_servers_words_and_what_was_asked(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        with pytest.raises(NotThere, match=r"JetStream: stream not found \(STREAM\.INFO\.ELSE\)$"):
            await ask(link.session, "STREAM.INFO.ELSE")
        with pytest.raises(NotTaken, match="JetStream: ") as found:
            await ask(link.session, "STREAM.CREATE.X", {"name": "X", "subjects": ["x"], "num_replicas": 3})

    assert found.type is NotTaken
    assert found.value.error.code


async def test_a_server_without_jetstream_is_told_from_one_that_gives_no_answer(
    plain_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(plain_nats_server.url) as link:
        with pytest.raises(NoJetStream, match="has no JetStream; start it with --js"):
            await ask(link.session, "INFO")
        monkeypatch.setattr(nats_api, "ANSWER_S", 0.1)
        plain_nats_server.freeze()
        with pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"):
            await ask(link.session, "INFO")
        plain_nats_server.thaw()


async def test_a_question_ends_with_its_connection(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_api, "ANSWER_S", 600.0)
    async with linked(nats_server.url) as link:
        nats_server.freeze()
        asking = asyncio.create_task(ask(link.session, "INFO"))
        await asyncio.sleep(0)
        nats_server.kill()

        with pytest.raises(Unreachable):
            await asking


async def test_a_message_is_found_by_its_number_or_as_the_next_of_its_subject(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 3)
        third = await stored_at(link.session, STREAM, 2, subject="md.events.trade.ETHUSDT")

        assert third is not None
        assert third == await stored_at(link.session, STREAM, 3)
        assert await stored_at(link.session, STREAM, 4) is None


async def test_the_last_message_of_each_subject_is_found_also_as_of_a_time(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 10)
        fifth = await stored_at(link.session, STREAM, 5)
        assert fifth is not None

        assert [9, 10] == [one.sequence for one in await latest(link.session, STREAM, "md.events.trade.*")]
        assert [3, 4] == [
            one.sequence for one in await latest(link.session, STREAM, "md.events.trade.*", before_ns=fifth.time_ns)
        ]
        assert [] == await latest(link.session, STREAM, "md.events.quote.*")


async def test_the_last_messages_of_more_subjects_than_the_server_gives_at_once_are_all_found(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await make_events_stream(link)
        for number in range(1199):
            await link.client.publish(f"md.events.trade.S{number}", b"{}")
        await link.client.jetstream().publish("md.events.trade.S1199", b"{}")  # confirmed, and those before it

        assert list(range(1, 1201)) == [one.sequence for one in await latest(link.session, STREAM, "md.events.>")]
