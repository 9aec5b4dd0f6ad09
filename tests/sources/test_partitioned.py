"""The partitioned stream on a real server: each symbol's events in one partition, in order."""

import pytest

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.model.events import SYSTEM, Quote, Status
from marketd.net.nats import NatsLink
from marketd.net.nats_api import NoJetStream, Stored, ask
from marketd.sources.partitioned import PREFIX, STREAM, open_partitioned, subjects
from marketd.sources.stored import Ordered
from tests.members import PREFIX as EVENTS
from tests.members import TS, arrived, linked, make_events_stream, store, trade
from tests.nats_servers import NatsServer

SYMBOLS = [f"S{number}USDT" for number in range(20)]


async def test_all_of_a_symbol_is_in_one_partition_in_order_and_a_venues_status_is_for_all(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await make_events_stream(link)
        await open_partitioned(link.session, EVENTS, 4, SystemClock())
        quotes = [Quote("binance", symbol, TS, TS, "1", "1", "2", "1") for symbol in SYMBOLS]
        await store(link, [trade(symbol, number) for number in range(5) for symbol in SYMBOLS] + quotes)
        await store(link, [Status("binance", SYSTEM, None, TS, "connected", "")])
        await arrived(link, 6 * len(SYMBOLS) + 1)
        found = {partition: await everything(link, partition) for partition in range(4)}

        homes = {symbol: {p for p, held in found.items() for one in held if one.subject.endswith(symbol)} for symbol in SYMBOLS}
        assert {1} == {len(home) for home in homes.values()}
        assert 6 * len(SYMBOLS) == sum(len(held) - 1 for held in found.values())
        assert {f"{PREFIX}.status.{SYSTEM}"} == {held[-1].subject for held in found.values()}
        for held in found.values():
            assert sorted(one.sequence for one in held) == [one.sequence for one in held]


async def test_the_events_own_stream_stays_as_it_is_and_gives_its_limits(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await make_events_stream(link, max_age=3600, max_bytes=1_000_000)
        before = await config(link, "EVENTS")
        await open_partitioned(link.session, EVENTS, 4, SystemClock())
        made = await config(link, STREAM)

        assert before == await config(link, "EVENTS")
        assert (3600 * 10**9, 1_000_000, "file", 1) == tuple(
            made[key] for key in ("max_age", "max_bytes", "storage", "num_replicas")
        )


async def test_a_second_member_uses_what_the_first_one_made_and_another_number_of_partitions_is_refused(
    nats_server: NatsServer,
) -> None:
    async with linked(nats_server.url) as link:
        await make_events_stream(link)
        await open_partitioned(link.session, EVENTS, 4, SystemClock())
        made = await config(link, STREAM)
        await open_partitioned(link.session, EVENTS, 4, SystemClock())

        assert made == await config(link, STREAM)
        with pytest.raises(DeliveryError, match=r"with other partitions .*expected 8 of md\.events"):
            await open_partitioned(link.session, EVENTS, 8, SystemClock())


async def test_without_a_stream_of_events_there_is_nothing_to_partition(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        with pytest.raises(DeliveryError, match=r"no stream holds md\.events\.trade"):
            await open_partitioned(link.session, EVENTS, 4, SystemClock())


async def test_a_server_without_jetstream_is_said(plain_nats_server: NatsServer) -> None:
    async with linked(plain_nats_server.url) as link:
        with pytest.raises(NoJetStream, match="--js"):
            await open_partitioned(link.session, EVENTS, 4, SystemClock())


async def everything(link: NatsLink, partition: int) -> list[Stored]:
    ordered = Ordered(link, STREAM, subjects(partition), SystemClock())
    found = await ordered.next(1.0)
    while ordered.pending or ordered.pending is None:
        found += await ordered.next(1.0)
    return found


async def config(link: NatsLink, stream: str) -> dict[str, object]:
    return dict((await ask(link.session, f"STREAM.INFO.{stream}", {}))["config"])
