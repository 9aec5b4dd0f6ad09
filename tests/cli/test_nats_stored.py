"""The last messages of a subject, from a stream that nothing is changed in."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from marketd.cli.nats_stored import held, last_of, streams
from marketd.net.nats_api import NoJetStream
from tests.members import linked
from tests.nats_servers import NatsServer

numbers = itertools.count()


async def publish(client: Client, subjects: list[str], root: str = "md") -> None:
    for number, subject in enumerate(subjects, 1):
        await client.jetstream().publish(f"{root}.events.{subject}", str(number).encode())


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subjects=st.lists(st.sampled_from(["trade.A", "trade.B", "quote.A"]), max_size=60),
    wanted=st.sampled_from(["md.events.>", "md.events.trade.*", "md.events.quote.A", "md.>", "md.events.trade.C"]),
    count=st.integers(1, 20),
)
def test_the_last_are_the_last_in_order(nats_server: NatsServer, subjects: list[str], wanted: str, count: int) -> None:
    root = f"md{next(numbers)}"  # of its own: what a slow server still has in hand of the example before stays out of it
    asked = wanted.replace("md", root, 1)

    async def look() -> tuple[list[int], int]:
        async with linked(nats_server.url) as link:
            stream = link.client.jetstream()
            await stream.add_stream(name=root, subjects=[f"{root}.events.>"])
            try:
                await publish(link.client, subjects, root)
                (found,) = await streams(link.session, asked)
                last = await last_of(link.session, found, asked, count)
                return [int(one.data) for one in last], found["state"]["consumer_count"]
            finally:
                await stream.delete_stream(root)

    fits = [number for number, subject in enumerate(subjects, 1) if matches(wanted, f"md.events.{subject}")]

    assert (fits[-count:], 0) == asyncio.run(look())


def matches(wanted: str, subject: str) -> bool:
    if wanted.endswith(">"):
        return subject.startswith(wanted[:-1])
    return all(one in ("*", other) for one, other in zip(wanted.split("."), subject.split("."), strict=True))


async def test_streams_are_those_that_take_something_of_the_subject(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await link.client.jetstream().add_stream(name="trades", subjects=["md.events.trade.*"])
        await link.client.jetstream().add_stream(name="alerts", subjects=["senpai.alerts"])
        await publish(link.client, ["trade.A", "trade.A", "trade.B"])
        found = {
            subject: [one["config"]["name"] for one in await streams(link.session, subject)] for subject in ("md.>", "x", ">")
        }
        counts = await held(link.session, "trades")

    assert {"md.>": ["trades"], "x": [], ">": ["alerts", "trades"]} == {name: sorted(names) for name, names in found.items()}
    assert {"md.events.trade.A": 2, "md.events.trade.B": 1} == counts


async def test_without_jetstream_it_is_said(plain_nats_server: NatsServer) -> None:
    async with linked(plain_nats_server.url) as link:
        with pytest.raises(NoJetStream, match="--js"):
            await streams(link.session)
