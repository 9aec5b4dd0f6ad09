"""The daemon as its user runs it: a process of its own, killed and stopped for real."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from marketd.model.events import Trade
from marketd.model.wire import decode_lines

ROOT = Path(__file__).resolve().parents[2]
Row = tuple[str, str, str]  # id, price, size


@dataclass
class Process:
    """A running `marketd`."""

    process: asyncio.subprocess.Process
    data_dir: Path

    def kill(self) -> None:
        """As the power of `kill -9` does: at once, without a word."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self, within_s: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), within_s)

    async def ended(self, within_s: float = 30.0) -> int:
        return await asyncio.wait_for(self.process.wait(), within_s)


@asynccontextmanager
async def run_process(environ: Mapping[str, str], data_dir: Path, *arguments: str) -> AsyncIterator[Process]:
    """`marketd run` with the profile live-ingest, on a free port; killed on leaving if it still runs."""
    words = ("run", "--profile", "live-ingest", "--data-dir", str(data_dir), *arguments)
    async with run_program({"HTTP_PORT": "0", **environ}, data_dir.parent, *words) as process:
        yield Process(process.process, data_dir)


@asynccontextmanager
async def run_program(environ: Mapping[str, str], directory: Path, *words: str) -> AsyncIterator[Process]:
    """`marketd` with these words, in that directory; killed on leaving if it still runs."""
    log = (directory / "daemon.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "marketd", *words),
        env={name: os.environ[name] for name in ("PATH", "NATS_URL", "REDIS_URL")} | {"PYTHONPATH": str(ROOT / "src"), **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=log,
        cwd=directory,
    )
    try:
        yield Process(process, directory)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        log.close()


def stored(data_dir: Path, venue: str, symbol: str) -> list[Row]:
    """What the database holds, by id."""
    path = data_dir / "market_data.db"
    if not path.exists():
        return []
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        db.set_busy_timeout(5000)
        sql = "SELECT trade_id, price, size FROM trades WHERE provider = ? AND symbol = ?"
        return sorted(db.execute(sql, (venue, symbol)).fetchall(), key=lambda row: int(row[0]))
    except apsw.SQLError:  # the tables are not there yet
        return []
    finally:
        db.close()


def written(data_dir: Path, venue: str, symbol: str) -> list[Row]:
    """What the event files hold, in the order of the lines. Raises msgspec.DecodeError for a torn line."""
    rows: list[Row] = []
    for path in sorted(data_dir.glob("events*.jsonl"), key=lambda path: (path.name == "events.jsonl", path.name)):
        whole = path.read_bytes()

        assert whole == b"" or whole.endswith(b"\n"), f"{path} ends in a torn line: {whole[-80:]!r}"
        for event in decode_lines(whole):
            if isinstance(event, Trade) and event.venue == venue and event.symbol == symbol:
                rows.append((event.trade_id, event.price, event.size))
    return rows


def ledger(data_dir: Path, venue: str, symbol: str) -> list[tuple[str, str | None, str | None]]:
    """State, first and last id of what is known of a symbol's trades."""
    db = apsw.Connection(str(data_dir / "market_data.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sql = "SELECT state, from_id, to_id FROM ledger WHERE provider = ? AND symbol = ? AND channel = 'trade'"
        return db.execute(sql, (venue, symbol)).fetchall()
    finally:
        db.close()


__all__ = ["Process", "Row", "ledger", "run_process", "run_program", "stored", "written"]
