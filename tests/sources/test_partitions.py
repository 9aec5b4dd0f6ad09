"""Members of a group on a real server: they share fairly, move whole partitions, lose nothing and keep the order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import nats.errors
import pytest
from structlog.testing import capture_logs

from marketd.errors import DeliveryError
from marketd.model.events import Share, Trade
from marketd.net import nats_api
from marketd.net.nats import NatsLink
from marketd.sources import partitions
from tests.daemons import eventually
from tests.members import Member, linked, make_events_stream, store, trade
from tests.nats_servers import NatsCluster, NatsServer

SYMBOLS = [f"S{number}USDT" for number in range(20)]


@asynccontextmanager
async def group(server: NatsServer, size: int, count: int = 4) -> AsyncIterator[list[Member]]:
    """Members that are not running yet, each with its own connection, and the events' stream."""
    async with AsyncExitStack() as links:
        members = [Member(await links.enter_async_context(linked(server.url)), count) for _ in range(size)]
        await make_events_stream(members[0].link)
        yield members


async def test_one_member_takes_all_and_reads_every_event_in_order(nats_server: NatsServer) -> None:
    async with group(nats_server, 1) as [one], one.running():
        await eventually(lambda: one.owned == {0, 1, 2, 3})
        await store(one.link, [trade(symbol, number) for number in range(10) for symbol in SYMBOLS])
        await eventually(lambda: len(one.published) == 200)

        assert all(one.trades(symbol) == list(range(10)) for symbol in SYMBOLS)
        assert one.partitions.state.healthy
        assert b"marketd_partitions_owned 4.0" in one.metrics.text()


async def test_a_second_member_gets_half_and_gives_it_back_on_leaving(nats_server: NatsServer) -> None:
    async with group(nats_server, 2) as [one, other], one.running():
        await eventually(lambda: len(one.owned) == 4)
        async with other.running():
            await eventually(lambda: len(one.owned) == len(other.owned) == 2)

            assert {0, 1, 2, 3} == one.owned | other.owned
        await eventually(lambda: len(one.owned) == 4)


async def test_symbols_move_whole_with_their_past_and_nothing_is_lost_or_done_twice(nats_server: NatsServer) -> None:
    async with group(nats_server, 2) as [one, other]:
        async with one.running():
            await eventually(lambda: len(one.owned) == 4)
            await store(one.link, [trade(symbol, number) for number in range(5) for symbol in SYMBOLS])
            await eventually(lambda: len(one.published) == 100)
        assert [share.state for share in one.published if isinstance(share, Share)].count("released") == 4
        async with other.running():
            await eventually(lambda: len(other.owned) == 4)
            await store(other.link, [trade(symbol, 5) for symbol in SYMBOLS])
            await eventually(lambda: all(5 in other.trades(symbol) for symbol in SYMBOLS))

            for symbol in SYMBOLS:
                assert ["assigned", 0, 1, 2, 3, 4, "ready", 5] == story(other, symbol)


async def test_what_was_published_and_not_processed_is_done_again_by_the_next_owner(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LEAVE_S", 0.1)
    async with group(nats_server, 2) as [one, other]:
        async with one.running():
            await eventually(lambda: len(one.owned) == 4)
            await store(one.link, [trade("BTCUSDT", 0)])
            await eventually(lambda: noted(one))
            one.stuck.clear()
            await store(one.link, [trade("BTCUSDT", 1)])
            await eventually(lambda: one.trades("BTCUSDT") == [0, 1])
        async with other.running():
            await eventually(lambda: len(other.owned) == 4)
            await eventually(lambda: story(other, "BTCUSDT") == ["assigned", 0, "ready", 1])


async def test_a_member_that_could_not_renew_lets_go_of_everything_and_joins_anew(nats_server: NatsServer) -> None:
    async with group(nats_server, 1) as [one], one.running():
        await eventually(lambda: len(one.owned) == 4)
        await store(one.link, [trade("BTCUSDT", 0)])
        await eventually(lambda: noted(one))
        before = one.partitions.leases.member
        with capture_logs() as lines:
            nats_server.freeze()
            await eventually(lambda: not one.partitions.may_publish)
            nats_server.thaw()
            await eventually(lambda: len(one.owned) == 4 and one.partitions.leases.member != before)

        assert ["assigned", 0, "ready"] == story(one, "BTCUSDT")[-3:]
        assert "partitions.lapsed" in [line["event"] for line in lines]


async def test_a_server_that_is_away_for_less_than_the_lease_changes_nothing(nats_server: NatsServer) -> None:
    async with group(nats_server, 1) as [one]:
        one.partitions.leases.lease_s = 30
        async with one.running():
            await eventually(lambda: len(one.owned) == 4)
            await store(one.link, [trade("BTCUSDT", 0)])
            nats_server.restart()
            await eventually(lambda: one.link.state.reconnects >= 1)
            await store(one.link, [trade("BTCUSDT", 1)])
            await eventually(lambda: one.trades("BTCUSDT"), holds=lambda found: found == [0, 1])

            assert not [event for event in one.published if isinstance(event, Share)]


async def test_a_stream_or_bucket_that_was_deleted_is_made_anew_and_read_from_its_beginning(nats_server: NatsServer) -> None:
    async with group(nats_server, 1) as [one], one.running():
        await eventually(lambda: len(one.owned) == 4)
        await store(one.link, [trade("BTCUSDT", number) for number in range(9)])
        await eventually(lambda: noted(one))
        stream = one.link.client.jetstream()
        for name in ("senpai-partitions", "KV_senpai-partitions"):
            await stream.delete_stream(name)
            await eventually(lambda: not one.partitions.state.healthy or not one.owned)
            await eventually(lambda: len(one.owned) == 4 and one.partitions.state.healthy)
            await store(one.link, [trade("BTCUSDT", 9), trade("ETHUSDT", 9)])
            await eventually(lambda: 9 in one.trades("BTCUSDT") and 9 in one.trades("ETHUSDT"))
            one.published.clear()


async def test_a_server_killed_again_and_again_costs_and_doubles_nothing(nats_server: NatsServer) -> None:
    async with group(nats_server, 2) as [one, other]:
        one.partitions.leases.lease_s = other.partitions.leases.lease_s = 60
        async with one.running(), other.running():
            await eventually(lambda: len(one.owned) == len(other.owned) == 2)
            for number in range(3):
                await stored_in_the_end(one.link, [trade(symbol, number) for symbol in SYMBOLS])
                nats_server.restart()
            await eventually(lambda: all(has(symbol, 2, one, other) for symbol in SYMBOLS))

            for symbol in SYMBOLS:
                assert list(range(3)) == one.trades(symbol) + other.trades(symbol)


async def test_without_a_stream_of_events_it_waits_and_says_so(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one = Member(link)
        async with one.running():
            await eventually(lambda: "no stream holds" in one.partitions.state.reason)
            assert not one.partitions.state.healthy
            await make_events_stream(link)
            await eventually(lambda: len(one.owned) == 4)


@pytest.mark.parametrize("size", [3, 4])
async def test_the_load_is_shared_fairly(nats_server: NatsServer, size: int) -> None:
    async with group(nats_server, size, count=16) as members, AsyncExitStack() as running:
        for member in members:
            await running.enter_async_context(member.running())
        fair = sorted(16 // size + (rank < 16 % size) for rank in range(size))
        await eventually(lambda: sorted(len(member.owned) for member in members) == fair)

        assert 16 == len(set[int]().union(*(member.owned for member in members)))


def story(member: Member, symbol: str) -> list[object]:
    """What a symbol went through: shares and trades."""
    found: list[object] = []
    for event in member.published:
        if isinstance(event, Share):
            if symbol in event.symbols:
                found.append(event.state)
        elif event.symbol == symbol:
            found.append(int(event.trade_id))  # type: ignore[attr-defined]
    return found


def noted(member: Member) -> bool:
    """What it has read is noted as done."""
    return any(one.claim.done for one, _ in member.partitions._owned.values())


@pytest.mark.soak  # after each the server may take most of a minute until its derived stream goes on
async def test_any_server_of_a_cluster_may_die(nats_cluster: NatsCluster) -> None:
    async with linked(nats_cluster.url) as link, linked(nats_cluster.url) as other_link:
        await make_events_stream(link, num_replicas=3)
        one, other = Member(link, lease_s=60), Member(other_link, lease_s=60)
        async with one.running(), other.running():
            await eventually(lambda: len(one.owned) == len(other.owned) == 2)
            for server in nats_cluster.servers:
                server.kill()
                number = len(one.trades("S0USDT")) + len(other.trades("S0USDT"))
                await stored_in_the_end(link, [trade(symbol, number) for symbol in SYMBOLS])
                await eventually(lambda n=number: all(has(symbol, n, one, other) for symbol in SYMBOLS), within_s=120.0)
                server.start()
                nats_cluster.wait()

            for symbol in SYMBOLS:
                assert [0, 1, 2] == one.trades(symbol) + other.trades(symbol)


def has(symbol: str, number: int, *members: Member) -> bool:
    return any(number in member.trades(symbol) for member in members)


async def stored_in_the_end(link: NatsLink, events: Sequence[Trade]) -> None:
    """Each once: a cluster that lost its leader takes nothing for a moment."""
    for event in events:
        for _ in range(300):
            try:
                await store(link, [event], once=True)
                break
            except (nats.errors.Error, DeliveryError):
                await asyncio.sleep(0.1)


async def test_who_lapses_again_and_again_joins_later_each_time_until_it_has_held_its_share_for_a_while(
    nats_server: NatsServer,
) -> None:
    async with group(nats_server, 1) as [one]:
        one.partitions.leases.lease_s = 2
        async with one.running():
            waits, last = list[float](), ""
            for _ in range(2):
                await eventually(lambda last=last: len(one.owned) == 4 and one.partitions.leases.member != last)
                last = one.partitions.leases.member
                with capture_logs() as lines:
                    nats_server.freeze()
                    await eventually(lambda: not one.partitions.may_publish)
                    nats_server.thaw()
                    await eventually(lambda: "partitions.lapsed" in [line["event"] for line in lines])
                waits += [line["joins_in_s"] for line in lines if line["event"] == "partitions.lapsed"]

            assert partitions.JOIN_S_MIN / 2 <= waits[0] <= partitions.JOIN_S_MIN <= waits[1] <= 2 * partitions.JOIN_S_MIN
            await eventually(lambda: one.partitions._joining.tries == 0)
            assert {0, 1, 2, 3} == one.owned


async def test_who_rebuilds_windows_says_how_many_and_is_well_when_all_are_live(nats_server: NatsServer) -> None:
    async with group(nats_server, 1, count=1) as [one]:
        async with one.running():
            await eventually(lambda: one.owned == {0})
            await store(one.link, [trade("BTCUSDT", number) for number in range(3)])
            await eventually(lambda: one.partitions.listed()["owned"][0]["done"] == 3)
        other = Member(one.link, count=1, under_way=1)  # one message at a time
        other.stuck.clear()
        async with other.running():
            await eventually(lambda: other.trades("BTCUSDT") == [0])
            word, text = other.partitions.health

            assert ("degraded", True) == (word, text.startswith("rebuilding 1 of 1 partition for 0 s; member "))
            other.stuck.set()
            await eventually(lambda: other.partitions.health[0] == "ok")
            assert other.partitions.health[1].endswith(" has 1 of 1 partitions: 0")


async def test_a_member_that_waits_for_its_share_says_so_and_so_does_one_that_is_none_any_more(nats_server: NatsServer) -> None:
    async with group(nats_server, 2) as [one, other], one.running():
        one.partitions.leases.lease_s = other.partitions.leases.lease_s = 30
        await eventually(lambda: len(one.owned) == 4)
        one.stuck.clear()  # it cannot release
        await store(one.link, [trade(symbol, 0) for symbol in SYMBOLS])
        await eventually(lambda: all(held["symbols"] for held in one.partitions.listed()["owned"]))
        async with other.running():
            await eventually(lambda: "waits for 2 more that others hold" in other.partitions.health[1])
            assert "degraded" == other.partitions.health[0]
            one.stuck.set()
            await eventually(lambda: other.partitions.health[0] == "ok")
            one.partitions.leases.reborn()  # as after its lease

            assert ("unhealthy", True) == (one.partitions.health[0], "lease" in one.partitions.health[1])


async def test_partitions_that_cannot_be_read_are_said_once_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_api, "ANSWER_S", 0.2)
    forbidden = 'authorization {users: [{user: u, password: p, permissions: {publish: {deny: "$JS.API.CONSUMER.CREATE.>"}}}]}'
    with NatsServer(forbidden) as server, capture_logs() as lines:
        async with linked(server.url.replace("//", "//u:p@")) as link:
            await make_events_stream(link)
            one = Member(link, lease_s=30)
            async with one.running():
                await eventually(lambda: "4 cannot be read" in one.partitions.health[1])
                await eventually(lambda: [line for line in lines if line["event"] == "source.waiting"])

                assert ("unhealthy", True) == (one.partitions.health[0], "no answer within" in one.partitions.health[1])
    assert [4] == [line["partitions"] for line in lines if line["event"] == "source.waiting"]
