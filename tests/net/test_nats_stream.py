"""The stream on a real server: made, found, respected, and what is in its way is said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from pydantic import ValidationError

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.net.nats import NatsConfig, open_link
from marketd.net.nats_api import NoJetStream
from marketd.net.nats_session import Session
from marketd.net.nats_stream import (
    Stream,
    StreamConfig,
    covers,
    differences,
    find_stream,
    open_stream,
    streams_of,
    wanted_stream,
)
from tests.nats_servers import NatsCluster, NatsServer

PREFIX = "md.events"


@asynccontextmanager
async def session_to(server: NatsServer | NatsCluster) -> AsyncIterator[Session]:
    settings = NatsConfig.model_validate({"url": server.url, "enabled": True})
    async with open_link(settings, "marketd-test", SystemClock()) as link:
        yield await link.opened()


async def made_by_others(server: NatsServer, **config: Any) -> None:
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(**config)
    await client.close()


async def test_a_missing_stream_is_made_within_the_configured_limits(nats_server: NatsServer) -> None:
    config = StreamConfig(max_age_s=3600, max_bytes=10_000_000, duplicate_window_s=300)
    async with session_to(nats_server) as session:
        assert await find_stream(session, config.name) is None
        stream, is_new = await open_stream(session, config, PREFIX)
        again, is_new_again = await open_stream(session, config, PREFIX)

        assert ["MD_EVENTS"] == await streams_of(session, "md.events.trade.*")
    wanted = wanted_stream(config, PREFIX)

    assert (True, False, stream.config) == (is_new, is_new_again, again.config)
    assert wanted == {key: stream.config[key] for key in wanted}
    assert [] == differences(stream, config, PREFIX)
    assert "md.events.>; 1 replica(s), 3600 s, 10,000,000 bytes, duplicates within 300 s" == stream.said


async def test_a_cluster_keeps_as_many_copies_as_configured(nats_cluster: NatsCluster) -> None:
    async with session_to(nats_cluster) as session:
        stream, _ = await open_stream(session, StreamConfig(replicas=3), PREFIX)

    assert 3 == stream.config["num_replicas"]


async def test_a_stream_that_is_there_is_used_as_it_is_and_where_it_differs_is_known(nats_server: NatsServer) -> None:
    await made_by_others(
        nats_server, name="MD_EVENTS", subjects=["md.>"], max_age=7200, duplicate_window=60, storage="memory", max_bytes=1000
    )
    config = StreamConfig()
    async with session_to(nats_server) as session:
        before = await find_stream(session, "MD_EVENTS")
        stream, is_new = await open_stream(session, config, PREFIX)
        after = await find_stream(session, "MD_EVENTS")

    assert (before, before, False) == (stream, after, is_new)
    assert [
        "max_age_s is 7200, configured 86400",
        "max_bytes is 1000, configured 2.14748e+09",
        "duplicate_window_s is 60, configured 600",
        "storage is memory, configured file",
        "it takes no batches (allow_batched): one event of a symbol at a time, which is slower",
    ] == differences(stream, config, PREFIX)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"name": "MD_EVENTS", "subjects": ["md.events.trade.*"]}, r"subjects md\.events\.trade\.\*, expected md\.events\.>"),
        ({"name": "OTHER", "subjects": ["md.*.trade.>"]}, r"md\.events\.> belongs to stream OTHER already, .*nats\.stream\.name"),
        ({"name": "MD_EVENTS", "subjects": ["md.>"], "no_ack": True}, r"acknowledges nothing \(no_ack\)"),
    ],
)
async def test_a_stream_in_the_way_is_named_with_what_to_change(
    nats_server: NatsServer, there: dict[str, Any], expected: str
) -> None:
    await made_by_others(nats_server, **there)
    async with session_to(nats_server) as session:
        with pytest.raises(DeliveryError, match=expected):
            await open_stream(session, StreamConfig(), PREFIX)


async def test_a_server_without_jetstream_is_told_from_one_that_is_slow(plain_nats_server: NatsServer) -> None:
    async with session_to(plain_nats_server) as session:
        with pytest.raises(NoJetStream, match=r"has no JetStream; start it with --js"):
            await open_stream(session, StreamConfig(), PREFIX)


async def test_what_the_server_will_not_make_is_said_in_its_words(nats_server: NatsServer) -> None:
    async with session_to(nats_server) as session:
        with pytest.raises(DeliveryError, match="JetStream: replicas > 1 not supported in non-clustered mode"):
            await open_stream(session, StreamConfig(replicas=3), PREFIX)


def test_events_do_not_go_before_their_copies_are_known() -> None:
    with pytest.raises(ValidationError, match=r"max_age_s: found 60, expected 0 or duplicate_window_s \(600\) at least"):
        StreamConfig(max_age_s=60)


@pytest.mark.parametrize(
    ("pattern", "subjects", "expected"),
    [
        ("md.>", "md.events.>", True),
        ("md.events.>", "md.events.>", True),
        (">", "md.events.>", True),
        ("md.*.>", "md.events.>", True),
        ("md.events.*", "md.events.>", False),
        ("md.events.trade.>", "md.events.>", False),
        ("md.events", "md.events.>", False),
        ("md.events.*", "md.events.trade", True),
        ("md.events.trade", "md.events.*", False),
        ("md.events.trade.*", "md.events.trade", False),
    ],
)
def test_a_pattern_covers_what_lies_within_it(pattern: str, subjects: str, expected: bool) -> None:
    assert expected is covers(pattern, subjects)


def test_no_limit_and_an_absent_one_are_the_same() -> None:
    config = StreamConfig(max_age_s=0, max_bytes=0)
    there = {"max_age": 0, "max_bytes": -1, "num_replicas": 1, "duplicate_window": 600 * 10**9, "allow_batched": True}

    assert [] == differences(Stream("X", there), config, PREFIX)
    assert "any age, any size" in Stream("X", there).said
