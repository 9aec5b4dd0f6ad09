"""What `check` says of NATS and Redis: as they are, and what their absence would mean."""

import pytest

from marketd.cli.servers import Asked, ask_nats
from marketd.config import Config, Flags, load
from tests.nats_servers import NatsServer

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


async def test_a_server_without_it_names_the_switch_where_it_is_wanted(plain_nats_server: NatsServer) -> None:
    plain = await asked("features", NATS_URL=plain_nats_server.url)
    wanted = await asked("features", NATS_URL=plain_nats_server.url, USE_JETSTREAM="true")

    assert plain.lines[0].endswith(", without JetStream")
    assert wanted.lines[0].endswith("without JetStream; USE_JETSTREAM=true needs one started with --js")


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


async def test_many_symbols_are_told_by_their_number(plain_nats_server: NatsServer) -> None:
    many = ",".join(f"C{number}USDT" for number in range(30))
    found = await asked(
        "live-ingest", NATS_URL=plain_nats_server.url, NATS_ENABLED="true", MARKETD__EXCHANGES__BINANCE__SYMBOLS=many
    )

    assert found.lines[1].endswith("C4USDT and 25 more")


async def test_what_is_not_used_is_not_asked() -> None:
    assert await ask_nats(config("api")) is None
