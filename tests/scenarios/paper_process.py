"""The paper trader as a process of its own, on the market's time as a test sets it: `python -m tests.scenarios.paper_process`."""

import asyncio
import mmap
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from marketd.clock import SystemClock
from tests.scenarios.processes import ROOT, Process

WIDTH = 8  # bytes of the time


class SharedClock(SystemClock):
    """The wall clock is a number in a file, the same for all processes that have it open; seconds pass as they do."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._time = mmap.mmap(file.fileno(), WIDTH)

    @classmethod
    def made(cls, path: Path, now: int) -> "SharedClock":
        path.write_bytes(now.to_bytes(WIDTH, "little"))
        return cls(path)

    def set(self, now: int) -> None:
        self._time[:WIDTH] = now.to_bytes(WIDTH, "little")

    def now_ns(self) -> int:  # type: ignore[override]
        return int.from_bytes(self._time[:WIDTH], "little")


@asynccontextmanager
async def run_trader(directory: Path, clock: Path, environ: Mapping[str, str]) -> AsyncIterator[Process]:
    """The profile trader-bot, on a free port; killed on leaving if it still runs."""
    directory.mkdir(exist_ok=True)
    with (directory / "trader.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(clock)),
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HTTP_PORT": "0", **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
        )
        try:
            yield Process(process, directory)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _serve(clock: SharedClock) -> None:
    from marketd.config import Flags, load
    from marketd.daemon import serve

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(load(Flags(profile="trader-bot"), environ=os.environ, cwd=Path.cwd()), stop, clock=clock)


if __name__ == "__main__":
    asyncio.run(_serve(SharedClock(Path(sys.argv[1]))))
