"""Events from real NATS servers into the bus; what may have been lost is said of each symbol."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from threading import Thread

import nats
import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Gap, Status, Trade
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, NatsLink, open_link
from marketd.rooms import room
from marketd.sources import nats as source_module
from marketd.sources.nats import Intake, NatsSource
from marketd.sources.tolerant import TolerantReader
from tests.daemons import eventually
from tests.nats_servers import NatsServer
from tests.samples import book, heartbeat, quote, trade, trades

CLOCK = SystemClock()


class Member:
    """What one source has published."""

    def __init__(self, link: NatsLink) -> None:
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.intake = Intake(TolerantReader(CLOCK, self.metrics), self.events.extend, CLOCK)
        self.source = NatsSource(link, "md.events", self.intake, CLOCK)
        self.link = link

    @property
    def trades(self) -> list[Trade]:
        return [event for event in self.events if isinstance(event, Trade)]

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]


@asynccontextmanager
async def member(server: NatsServer) -> AsyncIterator[Member]:
    config = NatsConfig.model_validate({"url": server.url, "enabled": True})
    async with open_link(config, "marketd-test", CLOCK) as link, room("test") as here:
        one = Member(link)
        here.start("source", one.source.run())
        await eventually(lambda: one.source.state[0] == "ok")
        yield one


async def publish(server: NatsServer, events: Iterable[Event]) -> None:
    client = await nats.connect(server.url)
    for event in events:
        await client.publish(f"md.events.{event.__struct_config__.tag}.{event.symbol}", encode(event))
    await client.drain()


async def test_what_is_under_the_prefix_comes_in_order(plain_nats_server: NatsServer) -> None:
    sent: list[Event] = [*trades(1, 500), quote(1), book(1), heartbeat(1)]
    async with member(plain_nats_server) as one:
        await publish(plain_nats_server, sent)
        await eventually(lambda: len(one.events) >= len(sent))

    assert sent == one.events


async def test_members_of_the_group_share_and_none_gets_what_another_has(plain_nats_server: NatsServer) -> None:
    async with member(plain_nats_server) as one, member(plain_nats_server) as other:
        await publish(plain_nats_server, trades(1, 400))
        await eventually(lambda: len(one.trades) + len(other.trades) >= 400)

    assert sorted(map(str, range(1, 401))) == sorted(each.trade_id for each in one.trades + other.trades)
    assert one.trades
    assert other.trades


async def test_other_producers_are_read_too_and_what_is_no_event_is_counted(plain_nats_server: NatsServer) -> None:
    async with member(plain_nats_server) as one:
        client = await nats.connect(plain_nats_server.url)
        await client.publish("md.events.trade.X", b"no event")
        await client.publish("md.events.whatever", b'{"exchange":"Kraken","pair":"btc/usd","price":1.50,"qty":2}')
        await client.drain()
        await eventually(lambda: one.events)

        assert ("kraken", "BTCUSD", "1.50") == (one.trades[0].venue, one.trades[0].symbol, one.trades[0].price)
        assert b'senpai_events_dropped_total{reason="malformed_json",type="unknown"} 1.0' in one.metrics.text()


async def test_a_server_that_was_away_is_a_gap_of_every_symbol(plain_nats_server: NatsServer) -> None:
    server = plain_nats_server
    with capture_logs() as lines:
        async with member(server) as one:
            await publish(server, [trade(1), trade(2, symbol="ETHUSDT", venue="bybit")])
            await eventually(lambda: len(one.trades) == 2)
            server.kill()
            await eventually(lambda: one.source.state[0] == "unhealthy")
            server.start()
            await eventually(lambda: one.source.state[0] == "ok")
            await publish(server, [trade(3)])
            await eventually(lambda: len(one.trades) == 3)

    assert {("binance", "BTCUSDT", "unrecoverable"), ("bybit", "ETHUSDT", "unrecoverable")} == {
        (gap.venue, gap.symbol, gap.state) for gap in one.gaps
    }
    assert all(gap.from_ts and gap.to_ts and gap.from_ts < gap.to_ts for gap in one.gaps)
    assert [2] == [line["series"] for line in lines if line["event"] == "source.lost"]
    down = [event.venue for event in one.events if isinstance(event, Status) and event.state == "disconnected"]
    assert ["binance", "bybit"] == down  # said when it went: what is known is not to be believed from there on


async def test_messages_dropped_because_we_were_slow_are_a_gap_of_their_symbols(
    plain_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "PENDING_MAX", 20)
    with capture_logs() as lines:
        async with member(plain_nats_server) as one:
            await publish(plain_nats_server, [trade(1), trade(2, symbol="ETHUSDT")])
            await eventually(lambda: len(one.trades) == 2)
            for _ in range(20):  # until one read of the socket brings more than may wait
                await publish(plain_nats_server, trades(1, 2000))
                if one.source._slow or one.gaps:
                    break
            await eventually(lambda: one.gaps)

    assert {"BTCUSDT"} == {gap.symbol for gap in one.gaps}
    assert "slow consumer" in one.gaps[0].cause
    assert one.source.losses > 0
    assert ["slow consumer"] == list({line["reason"] for line in lines if line["event"] == "source.lost"})


async def test_a_server_that_lets_us_not_listen_is_not_well() -> None:
    config = 'authorization {users: [{user: u, password: p, permissions: {subscribe: {deny: "md.events.>"}}}]}'
    with NatsServer(config, jetstream=False) as server:
        url = server.url.replace("nats://", "nats://u:p@")
        async with open_link(NatsConfig.model_validate({"url": url, "enabled": True}), "marketd-test", CLOCK) as link:
            one = Member(link)
            async with room("test") as here:
                here.start("source", one.source.run())
                await eventually(lambda: "permissions violation" in one.source.state[1].lower())

                assert "unhealthy" == one.source.state[0]


async def test_leaving_takes_the_listener_away(plain_nats_server: NatsServer) -> None:
    config = NatsConfig.model_validate({"url": plain_nats_server.url, "enabled": True})
    async with open_link(config, "marketd-test", CLOCK) as link:
        one = Member(link)
        async with room("test") as here:
            here.start("source", one.source.run())
            await eventually(lambda: one.source.state[0] == "ok")
            await asyncio.sleep(0)

        assert [] == link.listeners
        assert "unhealthy" == one.source.state[0]


async def test_a_server_that_throws_us_out_as_too_slow_is_a_loss() -> None:
    with (
        NatsServer('max_payload: 65536\nmax_pending: 65536\nwrite_deadline: "200ms"', jetstream=False) as server,
        capture_logs() as lines,
    ):
        async with member(server) as one:
            await publish(server, [trade(1)])
            await eventually(lambda: len(one.trades) == 1)
            flooding = Thread(target=lambda: asyncio.run(publish(server, trades(1, 100_000))))
            flooding.start()
            flooding.join()  # our loop reads nothing meanwhile
            await eventually(lambda: one.gaps)
            await eventually(lambda: one.source.state[0] == "ok")
        log = server.log

    assert "Slow Consumer" in log
    assert {("BTCUSDT", "unrecoverable")} == {(gap.symbol, gap.state) for gap in one.gaps}
    assert [line for line in lines if line["event"] == "source.lost"]


async def test_while_it_subscribes_or_nats_is_away_it_says_that_and_not_that_it_is_connected(
    plain_nats_server: NatsServer,
) -> None:
    config = NatsConfig.model_validate({"url": plain_nats_server.url, "enabled": True})
    async with open_link(config, "marketd-test", CLOCK) as link, room("test") as here:
        one = Member(link)

        assert ("unhealthy", "subscribing to md.events.> for 0 s, nothing is read yet") == one.source.state
        here.start("source", one.source.run())
        await eventually(lambda: one.source.state[0] == "ok")
        plain_nats_server.kill()
        await eventually(lambda: one.source.state == ("unhealthy", f"NATS is away: {link.state.reason}"))


async def test_a_gap_begins_where_nothing_came_any_more_and_not_where_that_was_found_out(plain_nats_server: NatsServer) -> None:
    async with member(plain_nats_server) as one:
        await publish(plain_nats_server, trades(1, 1))
        await eventually(lambda: one.trades)
        plain_nats_server.freeze()
        silent_ns = CLOCK.now_ns()
        await eventually(lambda: CLOCK.now_ns() > silent_ns + 300_000_000)
        plain_nats_server.restart()
        await eventually(lambda: one.gaps)

        (gap,) = one.gaps
        assert gap.from_ts is not None
        assert gap.from_ts <= silent_ns
