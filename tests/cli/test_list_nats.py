"""`marketd tail nats:list`: which streams there are, what they take, hold and keep."""

import asyncio
import json

import nats
import pytest

from marketd.cli import entries
from tests.cli.conftest import Ask
from tests.nats_servers import NatsServer


@pytest.fixture
def server(nats_server: NatsServer) -> NatsServer:
    """With two streams, one of them empty."""

    async def fill() -> None:
        client = await nats.connect(nats_server.url)
        stream = client.jetstream()
        await stream.add_stream(name="events", subjects=["md.events.>"], max_age=3600, max_bytes=2**20, duplicate_window=600)
        await stream.add_stream(name="other", subjects=["other"])
        for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT"):
            await stream.publish(f"md.events.trade.{symbol}", b"{}")
        await client.close()

    asyncio.run(fill())
    return nats_server


def test_a_program_reads_a_line_of_each_stream(ask: Ask, server: NatsServer) -> None:
    said = ask("tail", "nats:list", environ={"NATS_URL": server.url})
    events, other = sorted((json.loads(line) for line in said.out.splitlines()), key=lambda one: one["stream"])

    assert ("events", ["md.events.>"], 3) == (events["stream"], events["subjects"], events["messages"])
    assert (3600, 2**20, 600, 1) == tuple(events[key] for key in ("age_s_max", "bytes_max", "duplicate_window_s", "copies"))
    assert {"md.events.trade.BTCUSDT": 2, "md.events.trade.ETHUSDT": 1} == events["held"]
    assert events["first"] < events["last"]
    assert (0, None, None, None, {}) == tuple(other[key] for key in ("messages", "first", "last", "bytes_max", "held"))


def test_a_person_reads_a_table(ask: Ask, server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries.Output, "is_read_by_people", property(lambda self: True, lambda self, value: None), raising=False)
    said = ask("tail", "nats:list", environ={"NATS_URL": server.url})

    assert said.out.split()[:6] == ["stream", "takes", "messages", "MiB", "held", "first"]
    assert "3,600 s, 1 MiB" in said.out
    assert f"2 streams at {server.url}; held: subjects with a message in the stream\n" in said.out


@pytest.mark.parametrize("width", [80, 120])
def test_a_narrow_terminal_shows_names_whole(ask: Ask, server: NatsServer, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries.Output, "is_read_by_people", property(lambda self: True, lambda self, value: None), raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    *table, count = ask("tail", "nats:list", environ={"NATS_URL": server.url}).out.splitlines()

    assert {("events", "md.events.>"), ("other", "other")} == {tuple(line.split()[:2]) for line in table[1:]}
    assert width >= max(map(len, table))
    assert ("; a wider terminal also shows: " in count) is (width < 120)


def test_a_server_without_streams_says_so_beside_the_output(ask: Ask, nats_server: NatsServer) -> None:
    said = ask("tail", "nats:list", environ={"NATS_URL": nats_server.url})

    assert (0, "", f"no streams at {nats_server.url}\n") == (said.code, said.out, said.err)


def test_a_server_without_jetstream_is_one_line(ask: Ask, plain_nats_server: NatsServer) -> None:
    said = ask("tail", "nats:list", environ={"NATS_URL": plain_nats_server.url})

    where = plain_nats_server.url
    assert (1, f"marketd: nats: {where} has no JetStream; start it with --js (nats-server --js)\n") == (said.code, said.err)
