"""cryptofeed as the other side, in an environment of its own: it needs other dependencies, and for 3.11 a C compiler.

A worker process there is told which frames to take and answers with the seconds it took; so its rounds lie between ours.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PINNED = "cryptofeed==2.4.1"
DIRECTORY = Path(__file__).resolve().parents[1] / ".venv-cryptofeed"
WORKER = Path(__file__).with_name("worker_of_cryptofeed.py")
KNOWS = {("binance", "trade"), ("binance", "quote"), ("binance", "depth"), ("bybit", "trade")}


class Cryptofeed:
    """The worker."""

    version = PINNED.replace("==", " ")

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def knows(self, venue: str, kind: str) -> bool:
        return (venue, kind) in KNOWS

    def measured(self, venue: str, kind: str, frames: list[bytes]) -> Callable[[], object]:
        """A side for `interleave`: its call lasts as long as the worker needs for all the frames, plus a message."""
        name = f"{venue} {kind}"
        self._ask({"load": name, "venue": venue, "frames": [_theirs(venue, kind, frame).decode() for frame in frames]})
        return lambda: self._ask({"run": name})

    def _ask(self, message: dict[str, object]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the cryptofeed worker ended"
        answer: dict[str, object] = json.loads(line)
        assert "error" not in answer, answer
        return answer


@contextmanager
def open_cryptofeed() -> Iterator[Cryptofeed | None]:
    """The peer, built on first use; None where it cannot be built."""
    python = DIRECTORY / "bin" / "python"
    if not python.exists() and not _build(python):
        yield None
        return
    with subprocess.Popen(
        [str(python), str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Cryptofeed(process)
        finally:
            process.kill()


def _build(python: Path) -> bool:
    venv.create(DIRECTORY, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", PINNED]
    done = subprocess.run(pip, capture_output=True, check=False, env=os.environ)
    if done.returncode:
        print(f"{PINNED} could not be built: {done.stderr.decode()[-300:]}", file=sys.stderr)
        subprocess.run(["rm", "-rf", str(DIRECTORY)], check=False)
    return done.returncode == 0


def _theirs(venue: str, kind: str, frame: bytes) -> bytes:
    """cryptofeed listens to Binance's aggregated trades: the same fields, one id more."""
    if (venue, kind) == ("binance", "trade"):
        return (
            frame.replace(b"@trade", b"@aggTrade")
            .replace(b'"e":"trade"', b'"e":"aggTrade"')
            .replace(b'"t":', b'"f":1,"l":1,"a":')
        )
    return frame
