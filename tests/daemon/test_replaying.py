"""A capture of a live daemon, replayed: the same events, byte for byte, every time."""

from pathlib import Path

import pytest

from marketd.config import Flags, load
from marketd.daemon import replay
from marketd.errors import ConfigError
from marketd.model.events import Trade
from marketd.model.wire import decode_lines
from marketd.sim.server import open_sim
from tests.daemons import eventually
from tests.nats_listener import listening
from tests.nats_servers import NatsServer


def trades_of(path: Path) -> list[Trade]:
    return [event for event in decode_lines(path.read_bytes()) if isinstance(event, Trade) and event.venue == "binance"]


def by_id(trades: list[Trade]) -> dict[tuple[str, str], tuple[str, str, int]]:
    return {(one.symbol, one.trade_id): (one.price, one.size, one.ts_recv) for one in trades}


async def replayed(capture: Path, data_dir: Path, venue: str | None = None) -> bytes:
    config = load(Flags(), environ={"MARKETD_DATA_DIR": str(data_dir)}, cwd=capture.parent)
    await replay(config, capture, venue=venue)
    return (data_dir / "events.jsonl").read_bytes()


async def test_a_capture_replays_to_what_was_live_and_twice_to_the_same_bytes(run_daemon, tmp_path: Path) -> None:
    capture = tmp_path / "session.jsonl.gz"
    async with open_sim(
        ["binance", "bybit"], rate=300, seed=21, faults="gap:venue=binance,every=1s;disconnect:venue=binance,every=4s"
    ) as sim:
        async with run_daemon(sim, capture=capture) as running:
            await eventually(lambda: running.views.feeds.counts().connection_errors >= 1)
            await eventually(lambda: running.views.health.components()["venue.binance"].status == "ok")
        live = trades_of(running.data_dir / "events.jsonl")
    first = await replayed(capture, tmp_path / "first")
    second = await replayed(capture, tmp_path / "second")

    assert first == second
    assert by_id(live) == by_id(trades_of(tmp_path / "first" / "events.jsonl"))


async def test_a_capture_that_names_no_venue_asks_for_one(tmp_path: Path) -> None:
    capture = tmp_path / "foreign.jsonl"
    capture.write_text('{"ts":1,"k":"in","frame":"{}"}\n')

    with pytest.raises(ConfigError, match="name it with --provider"):
        await replayed(capture, tmp_path / "data")


async def test_what_is_no_capture_is_said_with_its_line(tmp_path: Path) -> None:
    capture = tmp_path / "broken.jsonl"
    capture.write_text('{"ts":1,"k":"in","venue":"binance","frame":"{}"}\nnot json\n')

    with pytest.raises(ConfigError, match=r"broken\.jsonl line 2"):
        await replayed(capture, tmp_path / "data")


@pytest.mark.recorded("binance/ws/spot_btcusdt_20240808.jsonl.gz")
async def test_a_recorded_session_replays_with_every_trade_and_a_book_in_sync(recording: Path, tmp_path: Path) -> None:
    config = load(Flags(), environ={"MARKETD_DATA_DIR": str(tmp_path)}, cwd=tmp_path)
    done = await replay(config, recording, venue="binance")

    assert (done.events["trade"], done.events["quote"], done.bad_frames) == (9757, 28040, 0)
    assert done.events["book_l2"] > 2000


async def test_a_replay_goes_to_nats_where_that_was_asked_for(run_daemon, tmp_path: Path, nats_server: NatsServer) -> None:
    capture = tmp_path / "session.jsonl"
    async with open_sim(["binance", "bybit"], rate=300, seed=22) as sim, run_daemon(sim, capture=capture) as running:
        await eventually(lambda: running.views.health.components()["venue.binance"].status == "ok")
    environ = {"MARKETD_DATA_DIR": str(tmp_path / "replayed"), "NATS_URL": nats_server.url, "NATS_ENABLED": "true"}
    async with listening(nats_server, "md.events.trade.>") as listener:
        await replay(load(Flags(), environ=environ, cwd=tmp_path), capture)
        stored = [
            event for event in decode_lines((tmp_path / "replayed" / "events.jsonl").read_bytes()) if isinstance(event, Trade)
        ]
        await eventually(lambda: len(listener.got) == len(stored))

    assert stored == listener.events
