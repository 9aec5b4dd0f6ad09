"""What `check` says of NATS and Redis: as they are, and what their absence would mean."""

import nats
import pytest

from marketd.cli.servers import Asked, ask_nats, ask_redis
from marketd.config import Config, Flags, load
from tests.nats_servers import NatsServer
from tests.redis_server import RedisServer

NOBODY = "nats://me:hunter2@127.0.0.1:1"
FEED = {"MARKETD__EXCHANGES__BINANCE__SYMBOLS": "BTCUSDT,ETHUSDT", "MARKETD__EXCHANGES__BINANCE__CHANNELS": "trade,book"}


def config(profile: str, **environ: str) -> Config:
    return load(Flags(profile=profile), environ=environ)


async def asked(profile: str, **environ: str) -> Asked:
    found = await ask_nats(config(profile, **environ))
    assert found is not None
    return found


async def test_a_server_with_jetstream_is_told_with_what_it_stores(nats_server: NatsServer) -> None:
    found = await asked("features", NATS_URL=nats_server.url)

    assert found.is_well
    assert found.lines[0].startswith(f"NATS {nats_server.url}: ok, version 2.")
    assert found.lines[0].endswith("with JetStream: 0 streams, 0.0 MiB stored")
    assert [
        "reads md.events.> as a member of the group senpai-md",
        "publishes senpai.features.SYMBOL, senpai.signals.SYMBOL, senpai.alerts",
    ] == found.lines[1:]


async def test_a_server_without_jetstream_is_a_no_where_it_is_wanted(plain_nats_server: NatsServer) -> None:
    url = plain_nats_server.url
    plain = await asked("features", NATS_URL=url)
    wanted = await asked("features", NATS_URL=url, USE_JETSTREAM="true")
    collecting = await asked("live-ingest", NATS_URL=url, NATS_ENABLED="true", USE_JETSTREAM="true", **FEED)

    assert plain.is_well
    assert plain.lines[0].endswith(", without JetStream")
    assert [(False, True), (False, False)] == [(one.is_well, one.is_required) for one in (wanted, collecting)]
    assert wanted.lines[0].startswith(f"NATS {url}: no: version 2.")
    assert "without JetStream; USE_JETSTREAM=true needs a server started with --js; required" in wanted.lines[0]
    assert "USE_JETSTREAM=true needs a server started with --js; optional: the rest runs" in collecting.lines[0]


async def test_features_by_jetstream_say_whether_the_stream_is_there(nats_server: NatsServer) -> None:
    async def said(**environ: str) -> list[str]:
        return (await asked("features", NATS_URL=nats_server.url, **environ)).lines[1:]

    before = await said(USE_JETSTREAM="true")
    shared = await said(USE_JETSTREAM="true", MARKETD__FEATURES__PARTITIONS="8")
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="MD_EVENTS", subjects=["md.events.>"])
    after = await said(USE_JETSTREAM="true")
    await client.close()
    nothing_yet = (
        "reads by JetStream, and no stream holds md.events.> yet: waits until a collector with USE_JETSTREAM=true made one"
    )

    assert nothing_yet == before[-1]
    assert "reads by JetStream from stream MD_EVENTS" == after[-1]
    assert [
        "publishes senpai.features.SYMBOL, senpai.signals.SYMBOL, senpai.alerts",
        nothing_yet,
        "shares 8 partitions with its group: a stream with a copy of the events, and a bucket",
    ] == shared


async def test_the_features_need_it() -> None:
    found = await asked("features", NATS_URL=NOBODY)

    assert (False, True) == (found.is_well, found.is_required)
    assert found.lines[0].startswith("NATS nats://me:***@127.0.0.1:1: no: ")
    assert "required: the features have no other source" in found.lines[0]


@pytest.mark.parametrize(("enabled", "says"), [("true", "wait in the spill until it is there"), ("auto", "nothing is published")])
async def test_collectors_do_without_it(enabled: str, says: str) -> None:
    found = await asked("all-in-one", NATS_URL=NOBODY, NATS_ENABLED=enabled, **FEED)

    assert (False, False) == (found.is_well, found.is_required)
    assert f"optional: {'the rest runs, trades and closed candles ' if enabled == 'true' else ''}{says}" in found.lines[0]


async def test_subjects_are_told_by_type_and_symbol(plain_nats_server: NatsServer) -> None:
    found = await asked("live-ingest", NATS_URL=plain_nats_server.url, NATS_ENABLED="true", NATS_SUBJECT_PREFIX="a.b", **FEED)

    assert "publishes a.b.TYPE.SYMBOL: trade, book_l2, gap, status, heartbeat; BTCUSDT, ETHUSDT" == found.lines[1]


async def test_only_what_is_collected_is_published(plain_nats_server: NatsServer) -> None:
    server = {"NATS_URL": plain_nats_server.url, "NATS_ENABLED": "true"}
    archive = await asked("candle-archive", **server)
    others = {f"MARKETD__EXCHANGES__{name}__ENABLED": "false" for name in ("BINANCE", "BYBIT")}
    others["MARKETD__EXCHANGES__ALPACA__SYMBOLS"] = "AAPL"
    without_books = await asked("all-in-one", MARKETD__ROLES="ingest", **server, **others)

    assert "publishes md.events.TYPE.SYMBOL: candle, gap, status, heartbeat; BTCUSD, ETHUSD, SOLUSD" == archive.lines[1]
    assert "publishes md.events.TYPE.SYMBOL: trade, quote, gap, status, heartbeat; AAPL" == without_books.lines[1]


async def test_many_symbols_are_told_by_their_number(plain_nats_server: NatsServer) -> None:
    many = ",".join(f"C{number}USDT" for number in range(30))
    found = await asked(
        "live-ingest", NATS_URL=plain_nats_server.url, NATS_ENABLED="true", MARKETD__EXCHANGES__BINANCE__SYMBOLS=many
    )

    assert found.lines[1].endswith("C4USDT and 25 more")


async def test_what_is_not_used_is_not_asked() -> None:
    assert await ask_nats(config("api")) is None


DURABLE = {"NATS_ENABLED": "true", "USE_JETSTREAM": "true"}


async def test_a_stream_is_told_before_it_is_made_and_as_it_is(nats_server: NatsServer) -> None:
    before = await asked("live-ingest", NATS_URL=nats_server.url, **DURABLE)
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="MD_EVENTS", subjects=["md.events.>"], max_age=60, duplicate_window=60)
    there = await asked("live-ingest", NATS_URL=nats_server.url, **DURABLE)
    other = await asked("live-ingest", NATS_URL=nats_server.url, MARKETD__NATS__STREAM__NAME="OTHER", **DURABLE)
    await client.close()

    assert before.lines[2].startswith("stream MD_EVENTS would be made: md.events.>; 1 replica(s), 86400 s, 2,147,483,648 bytes")
    assert there.lines[2].startswith("stream MD_EVENTS is there: md.events.>; 1 replica(s), 60 s")
    assert "stream MD_EVENTS: max_age_s is 60, configured 86400; it stays as it is" in there.lines
    assert "stream OTHER cannot be made: MD_EVENTS takes md.events.> already; see nats.stream.name" in other.lines


async def test_redis_is_told_with_its_streams_and_the_memory_they_need(redis_server: RedisServer) -> None:
    found = await ask_redis(config("trade-streams", REDIS_URL=redis_server.url))

    assert found is not None
    assert (True, True) == (found.is_well, found.is_required)
    assert found.lines[0].startswith(f"Redis {redis_server.url}: ok, Valkey 9.")
    assert "writes trades:SYMBOL, up to 200 streams of about 10,000 entries; BTCUSDT, ETHUSDT, SOLUSDT" == found.lines[1]
    assert found.lines[2].startswith("memory: up to ")
    assert "200 streams x 10,000 entries x 260 bytes" in found.lines[2]


async def test_too_little_memory_is_said() -> None:
    with RedisServer(maxmemory="10mb") as server:
        found = await ask_redis(config("trade-streams", REDIS_URL=server.url))

    assert found is not None
    assert found.lines[2].endswith("; too little: raise maxmemory, or lower STREAM_MAXLEN or PAIRS_LIMIT")


async def test_redis_away_is_required_by_its_profile_and_optional_elsewhere() -> None:
    nobody = "redis://me:hunter2@127.0.0.1:1/0"
    needed = await ask_redis(config("trade-streams", REDIS_URL=nobody))
    welcome = await ask_redis(config("live-ingest", REDIS_URL=nobody, MARKETD__REDIS__ENABLED="true"))

    assert needed is not None
    assert welcome is not None
    assert (False, True, False) == (needed.is_well, needed.is_required, welcome.is_required)
    assert needed.lines[0].startswith("Redis redis://me:***@127.0.0.1:1/0: no: ")
    assert needed.lines[0].endswith("; required: trades wait in the spill until it is there")
    assert "optional: the rest runs" in welcome.lines[0]
