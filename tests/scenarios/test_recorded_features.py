"""A recorded session through the whole chain: decoder, NATS, features as a process of their own, and what they publish.

At the end of every second, and in every message on the way, they are those of the reference that is computed from the file.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nats
import pytest

from marketd.analysis.payloads import Features
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.net.nats import NatsConfig, open_link
from marketd.sinks.nats import Nats
from tests.analysis.reference import S, as_of, differences, moment
from tests.analysis.test_against_reference import SESSION, Accepted, events_of
from tests.nats_servers import NatsServer
from tests.scenarios.processes import run_program
from tests.scenarios.test_features import answers
from tests.server_process import LOOPBACK, free_ports

QUICK = {"FEATURES_PUB_RATE_HZ": "1000"}  # so that what was taken is published at once


def seconds_of(events: Sequence[Event]) -> list[list[Event]]:
    """The events of each second of event time, in the order in which they came."""
    seconds: list[list[Event]] = []
    ends = 0
    for event in events:
        if moment(event) >= ends:
            ends = moment(event) - moment(event) % S + S
            seconds.append([])
        seconds[-1].append(event)
    return seconds


@asynccontextmanager
async def features_process(server: NatsServer, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    (port,) = free_ports(1)
    environ = {"NATS_URL": server.url, "HTTP_PORT": str(port), **QUICK}
    async with run_program(environ, directory, "run", "--profile", "features"):
        await answers(f"http://{LOOPBACK}:{port}/health", status=200)
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
            yield client


async def same_at_the_end_of_every_second(server: NatsServer, directory: Path, recording: Path) -> int:
    """How many seconds were compared."""
    seconds = seconds_of(events_of(recording))
    symbol, sent, accepted = seconds[0][0].symbol, 0, Accepted(60)
    config = NatsConfig.model_validate({"url": server.url, "enabled": True})
    async with (
        features_process(server, directory) as client,
        open_link(config, "marketd-test", SystemClock()) as link,
        Nats(config, link, Metrics()) as sink,
    ):
        for events in seconds:
            await sink.write(events)
            sent += len(events)
            for event in events:
                accepted.take(event)
            accepted.events = [one for one in accepted.events if moment(one) > (accepted.now or 0) - 120 * S]
            wanted = as_of(accepted.events)
            assert await differing(client, symbol, sent, wanted) == {}
    return len(seconds)


async def differing(client: httpx.AsyncClient, symbol: str, sent: int, wanted: dict[str, Any]) -> object:
    """What is published once all that was sent is taken in, where it is not what was wanted; a moment is given to it."""
    left = 1500
    while True:
        stats = (await client.get("/stats")).json()["features"]
        found = (await client.get("/features/latest", params={"symbol": symbol})).content
        if stats["events_in"] == sent:
            wrong = differences(msgspec.json.decode(found, type=Features).features, wanted)
            if not wrong or not left:
                return wrong
        elif not left:
            return f"{stats['events_in']} of {sent} events came"
        left -= 1
        await asyncio.sleep(0.01)


@pytest.mark.timeout(300)
async def test_our_own_session_is_published_as_the_reference_has_it(plain_nats_server: NatsServer, tmp_path: Path) -> None:
    assert await same_at_the_end_of_every_second(plain_nats_server, tmp_path, SESSION) == 90


@pytest.mark.timeout(300)
@pytest.mark.recorded("binance/ws/spot_btcusdt_20240808.jsonl.gz")
async def test_the_recorded_session_is_published_as_the_reference_has_it(
    plain_nats_server: NatsServer, tmp_path: Path, recording: Path
) -> None:
    assert await same_at_the_end_of_every_second(plain_nats_server, tmp_path, recording) > 300


@pytest.mark.timeout(300)
@pytest.mark.recorded("binance/ws/spot_btcusdt_20240808.jsonl.gz")
async def test_each_message_of_a_replay_is_what_the_reference_has_at_its_time(
    plain_nats_server: NatsServer, tmp_path: Path, recording: Path
) -> None:
    events = events_of(recording)
    heard: list[Features] = []

    async def hear(message: Any) -> None:
        heard.append(msgspec.json.decode(message.data, type=Features))

    listening = await nats.connect(plain_nats_server.url)
    await listening.subscribe("senpai.features.BTCUSDT", cb=hear)
    await listening.flush()
    newest = max(map(moment, events))
    async with features_process(plain_nats_server, tmp_path):
        environ = {"NATS_URL": plain_nats_server.url, "NATS_ENABLED": "true"}
        words = ("replay", str(recording), "--provider", "binance", "--data-dir", str(tmp_path / "replayed"))
        async with run_program(environ, tmp_path, *words) as replay:
            assert await replay.ended() == 0
        async with asyncio.timeout(30):
            while not heard or heard[-1].ts != newest:  # noqa: ASYNC110 (it comes over the network)
                await asyncio.sleep(0.02)
    await listening.close()

    assert len(heard) > 10
    found, accepted, at = 0, Accepted(60), 0
    for said in heard:
        while (accepted.now or 0) < said.ts:
            accepted.take(events[at])
            at += 1
        while differences(said.features, as_of(accepted.events)) != {}:  # quotes and trades of the same time may follow
            assert at < len(events), said
            assert moment(events[at]) <= said.ts, (said, differences(said.features, as_of(accepted.events)))
            accepted.take(events[at])
            at += 1
        accepted.events = [one for one in accepted.events if moment(one) > (accepted.now or 0) - 120 * S]
        found += 1

    assert found == len(heard)
