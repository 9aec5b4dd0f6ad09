"""Programs started as a user starts them, against simulated venues that are a program too."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue

import pytest

from marketd.cli import main
from marketd.cli.stopping import STOPS

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 40.0


def _listens_to_ctrl_c() -> None:
    """As from a terminal, also where the tests run in the background, whose children are born deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """`python -m marketd ...`, with its lines as they come."""

    def __init__(self, words: tuple[str, ...], cwd: Path, environ: Mapping[str, str]) -> None:
        plain = {name: text for name, text in os.environ.items() if not name.endswith(("_WS_URL", "_REST_URL"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "marketd", *words],
            cwd=cwd,
            env={**plain, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_listens_to_ctrl_c,
        )
        self.said: dict[str, list[str]] = {"out": [], "err": []}
        self._lines: Queue[str] = Queue()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, name), daemon=True)
            for stream, name in ((self.process.stdout, "out"), (self.process.stderr, "err"))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Iterator[str], name: str) -> None:
        for line in stream:
            self.said[name].append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))

    def wait_for(self, word: str) -> str:
        """The next line with this word."""
        while True:
            try:
                line = self._lines.get(timeout=WITHIN_S)
            except Empty:
                raise AssertionError(f"never said {word!r}: {self.said}") from None
            if word in line:
                return line

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(WITHIN_S)
        for reader in self._readers:
            reader.join(WITHIN_S)
        return code


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("run", "--port", "0", environ={...})`; whatever still runs at the end is killed."""
    programs: list[Program] = []

    def begin(*words: str, environ: Mapping[str, str] | None = None) -> Program:
        programs.append(Program(words, tmp_path, environ or {}))
        return programs[-1]

    yield begin
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
        program.wait()
        for stream in (program.process.stdout, program.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def simulated(start: Start) -> dict[str, str]:
    """The variables of a running `marketd sim`."""
    program = start("sim", "--port", "0", "--venue", "binance,bybit", "--rate", "100")
    program.wait_for("BYBIT_REST_URL")
    return dict(line.removeprefix("export ").split("=", 1) for line in program.said["out"])


class Said:
    """What a command in this process did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Ask = Callable[..., Said]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ask("trades", "--symbol", "BTCUSDT")`, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, environ: Mapping[str, str] | None = None) -> Said:
        for name, text in (environ or {}).items():
            monkeypatch.setenv(name, text)
        handlers = {number: signal.getsignal(number) for number in STOPS}
        try:
            code = main(words)
        finally:  # a command that has ended in order leaves the signals ignored, as its process ends
            for number, handler in handlers.items():
                signal.signal(number, handler)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
