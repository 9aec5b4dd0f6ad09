"""Leases in a bucket of a real server: who is seen, who holds what, and whose word no longer counts."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.net.nats import NatsLink
from marketd.sources.leases import Claim, Leases, share
from tests.daemons import eventually
from tests.members import linked
from tests.nats_servers import NatsServer

MEMBERS = st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=12)


@given(MEMBERS, st.integers(0, 512))
def test_the_shares_of_all_members_are_all_partitions_and_differ_by_one_at_most(members: set[str], count: int) -> None:
    shares = [share(members, member, count) for member in members]

    assert count == sum(shares)
    assert max(shares) - min(shares) <= 1


def test_who_is_not_seen_yet_counts_itself() -> None:
    assert 16 == share({"a"}, "b", 32)


async def opened(link: NatsLink, lease_s: int = 1) -> Leases:
    leases = Leases(link, "group", lease_s, SystemClock(), Metrics())
    await leases.open()
    return leases


async def test_a_member_is_seen_until_it_does_not_renew_and_knows_that_by_itself(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one, other = await opened(link), await opened(link)
        assert not one.is_valid
        await one.renew()

        assert one.is_valid
        assert {one.member} == (await other.view()).members
        await eventually(lambda: one.is_lapsed)

        for _ in range(500):
            if await other.is_gone(one.member):
                break
            await asyncio.sleep(0.02)

        assert not (await other.view()).members


async def test_a_renewal_that_is_answered_after_the_lease_has_ended_renews_nothing(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await one.renew()
        nats_server.freeze()
        renewing = asyncio.create_task(one.renew())
        await eventually(lambda: one.is_lapsed)
        nats_server.thaw()
        await asyncio.wait([renewing])
        await asyncio.gather(one.renew(), return_exceptions=True)

        assert one.is_lapsed
        one.reborn()
        await one.renew()
        assert one.is_valid


async def test_a_member_that_leaves_is_gone_at_once(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one, other = await opened(link, 30), await opened(link, 30)
        await one.renew()
        assert not await other.is_gone(one.member)
        await one.leave()

        assert await other.is_gone(one.member)
        assert not (await other.view()).members
        assert not one.is_valid


async def test_a_partition_is_taken_by_one_only_and_what_is_done_goes_with_it(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one, other = await opened(link), await opened(link)
        await one.renew()
        mine = await one.write(Claim(3), member=one.member, done=0)
        assert mine is not None
        assert await other.write(Claim(3), member=other.member, done=0) is None

        mine = await one.write(mine, member=one.member, done=17)
        view = await other.view()
        assert mine == view.claims[3]
        assert not view.is_free(3)
        assert view.is_free(2)


async def test_who_lost_a_partition_cannot_move_it_any_more(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one, other = await opened(link), await opened(link)
        mine = await one.write(Claim(0), member=one.member, done=5)
        assert mine is not None
        theirs = await other.write(mine, member=other.member, done=5)

        assert await one.write(mine, member=one.member, done=9) is None
        assert await one.write(mine, member=None, done=9) is None
        assert {0: theirs} == (await other.view()).claims


async def test_a_write_whose_answer_was_lost_is_recognised_as_ours(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        first = await one.write(Claim(0), member=one.member, done=0)
        assert first is not None
        second = await one.write(first, member=one.member, done=5)

        assert second == await one.write(first, member=one.member, done=5)
        third = await one.write(first, member=one.member, done=8)
        assert third is not None

        assert 8 == third.done


async def test_who_is_reborn_holds_nothing_of_before(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await one.renew()
        await one.write(Claim(0), member=one.member, done=5)
        await one.leave()
        one.reborn()
        await one.renew()

        assert (await one.view()).is_free(0)


async def test_what_is_done_outlives_members_and_server(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await one.write(Claim(0), member=one.member, done=5)
    nats_server.restart()
    async with linked(nats_server.url) as link:
        assert 5 == (await (await opened(link)).view()).claims[0].done


GARBAGE = [b"garbage{", b"", b"{}", b"\xff", b'{"member":"a.>","done":0}', b'{"member":null,"done":-5}', b"[" * 5000]


@pytest.mark.parametrize("value", GARBAGE)
async def test_a_claim_that_cannot_be_read_is_said_once_and_is_free(nats_server: NatsServer, value: bytes) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await link.client.jetstream().publish("$KV.group.partitions.1", value)
        with capture_logs() as told:
            view = await one.view()
            await one.view()

        assert view.is_free(1)
        assert [("partition.unreadable", "partitions.1")] == [(line["event"], line["key"]) for line in told]
        taken = await one.write(view.claims[1], member=one.member, done=0)
        assert taken == (await one.view()).claims[1]


@pytest.mark.parametrize("key", ["foo", "partitions.abc", "partitions.foo", "partitions.01", "partitions.1.2", "partitions.-1"])
async def test_a_key_that_is_none_of_ours_is_said_once_and_ignored(nats_server: NatsServer, key: str) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await link.client.jetstream().publish(f"$KV.group.{key}", b"{}")
        with capture_logs() as told:
            view = await one.view()
            await one.view()

        assert {} == view.claims
        assert [("partition.unreadable", key)] == [(line["event"], line["key"]) for line in told]


async def test_the_owner_of_a_claim_that_was_written_over_goes_on_where_it_was(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        one, other = await opened(link), await opened(link)
        mine = await one.write(Claim(1), member=one.member, done=5)
        assert mine is not None
        await link.client.jetstream().publish("$KV.group.partitions.1", b"garbage{")

        assert await other.write(Claim(1), member=other.member, done=0) is None
        mine = await one.write(mine, member=one.member, done=7)

        assert mine == (await other.view()).claims[1]
        assert 7 == mine.done


@pytest.mark.parametrize("headers", [None, {"Nats-TTL": "86400s"}, {"Nats-TTL": "1h"}, {"Nats-TTL": "never"}])
async def test_a_members_key_that_would_stay_for_long_is_no_heartbeat_and_holds_nothing(
    nats_server: NatsServer, headers: dict[str, str] | None
) -> None:
    async with linked(nats_server.url) as link:
        one = await opened(link)
        await one.renew()
        await link.client.jetstream().publish("$KV.group.members.stranger", b"stranger", headers=headers)
        await one.write(Claim(0), member="stranger", done=0)
        with capture_logs() as told:
            view = await one.view()
            await one.view()

        assert {one.member} == view.members
        assert view.is_free(0)
        assert await one.is_gone("stranger")
        assert [("partition.unreadable", "members.stranger")] == [(line["event"], line["key"]) for line in told]
