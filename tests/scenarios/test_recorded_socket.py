"""A recorded session over a real socket: both durable sinks hold exactly its trades and quotes, with the venue's digits."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from marketd.model.events import Quote, Trade
from marketd.model.wire import decode_lines
from marketd.sim.server import open_sim
from tests.daemons import eventually
from tests.scenarios.processes import run_process

SESSION = "binance/ws/spot_btcusdt_20240808.jsonl.gz"
Row = tuple[Any, ...]


def data_of(recording: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stream and data of each recorded frame, read without any decoder of ours."""
    with gzip.open(recording, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["k"] == "in":
                frame = json.loads(record["frame"])
                if "stream" in frame:
                    yield frame["stream"].partition("@")[2], frame["data"]


def recorded(recording: Path) -> tuple[list[Row], list[Row]]:
    """Trades as (id, price, size, side, time), quotes as (update id, bid, its size, ask, its size)."""
    trades: list[Row] = []
    quotes: list[Row] = []
    for stream, data in data_of(recording):
        if stream == "trade":
            side = "sell" if data["m"] else "buy"
            trades.append((str(data["t"]), data["p"], data["q"], side, data["T"] * 1_000_000))
        elif stream == "bookTicker":
            quotes.append((data["u"], data["b"], data["B"], data["a"], data["A"]))
    return sorted(trades), sorted(quotes)


def asked(data_dir: Path, *questions: str) -> list[list[Row]]:
    """The answers of the database; empty ones while it has no tables yet."""
    path = data_dir / "market_data.db"
    if not path.exists():
        return [[] for _ in questions]
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(5000)
    try:
        return [db.execute(question).fetchall() for question in questions]
    except apsw.SQLError:
        return [[] for _ in questions]
    finally:
        db.close()


def stored(data_dir: Path) -> tuple[list[Row], list[Row]]:
    trades, quotes = asked(
        data_dir,
        "SELECT trade_id, price, size, side, ts_event FROM trades",
        "SELECT seq, bid, bid_size, ask, ask_size FROM quotes",
    )
    return sorted(trades), sorted(quotes)


def counted(data_dir: Path) -> list[list[Row]]:
    return asked(data_dir, "SELECT count(*) FROM trades", "SELECT count(*) FROM quotes")


def written(data_dir: Path) -> tuple[list[Row], list[Row]]:
    trades: list[Row] = []
    quotes: list[Row] = []
    for path in data_dir.glob("events*.jsonl"):
        for event in decode_lines(path.read_bytes()):
            if isinstance(event, Trade):
                trades.append((event.trade_id, event.price, event.size, event.side, event.ts_event))
            elif isinstance(event, Quote):
                quotes.append((event.seq, event.bid, event.bid_size, event.ask, event.ask_size))
    return sorted(trades), sorted(quotes)


@pytest.mark.recorded(SESSION)
async def test_the_stores_hold_exactly_what_the_socket_sent(recording: Path, tmp_path: Path) -> None:
    truth = recorded(recording)
    data_dir = tmp_path / "data"
    async with (
        open_sim(["binance"], recording=recording) as sim,
        run_process(sim.env(), data_dir, "--provider", "binance", "--symbols", "BTCUSDT") as daemon,
    ):
        await eventually(lambda: counted(data_dir) == [[(len(rows),)] for rows in truth], every_s=0.5)

        assert await daemon.stop() == 0

    assert (9757, 28040) == tuple(map(len, truth))
    assert truth == stored(data_dir)
    assert truth == written(data_dir)
