"""README and the pages that are instructions, walked as a reader does: command after command, in one directory.

Blocks below `<!-- walks -->` are run in order; `<!-- file NAME -->` says that the block below it is saved as NAME. What goes on
until Ctrl-C goes on here too, and `<!-- ctrl-c -->` ends the newest of those. Simulated venues stand where the real ones
would be (a command with --env-file is left to its file), and ports are free ones: `curl` is led to the program that the page
has on that port. NATS and Redis, where a page needs them, are real servers that the variables lead to.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from marketd.config.sources import read_profile
from tests.nats_servers import NatsServer
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parent.parent
WITHIN_S = 60.0
STEP = re.compile(
    r"<!-- (?P<ctrl>ctrl-c) -->|<!-- (?P<kind>walks|file (?P<name>\S+)) -->\n```\w+\n(?P<text>.*?)^```$", re.M | re.S
)
NOT_HERE = ("source ", "make setup", "nats-server ")  # the tests' own environment stands for these
GOES_ON = ("marketd demo", "marketd run", "marketd sim")
READY = re.compile(r"open (http://\S+) in|\"address\": ?\"(http://[^\"]+)\"|(export \w+_REST_URL)")

# What other people's `curl` would do, for machines without one: options -X, -H, -d, and -N for what goes on.
CURL = f"""#!{sys.executable}
import sys, httpx
words, given = sys.argv[1:], {{"-X": [], "-H": [], "-d": []}}
urls = [word for at, word in enumerate(words) if word[0] != "-" and (at == 0 or words[at - 1] not in given)]
for at, word in enumerate(words):
    if word in given:
        given[word].append(words[at + 1])
headers = {{"Content-Type": "application/x-www-form-urlencoded"}} if given["-d"] else {{}}
headers |= dict(header.split(": ", 1) for header in given["-H"])
if "-N" in words:
    with httpx.stream("GET", urls[0], timeout=None) as answer:
        for line in answer.iter_lines():
            print(line, flush=True)
answer = httpx.request((given["-X"] or ["GET"])[0], urls[0], headers=headers, content="".join(given["-d"]))
print(answer.text)
sys.exit(not answer.is_success)
"""


class Reader:
    """Who types, in one directory."""

    def __init__(self, home: Path, servers: Mapping[str, str]) -> None:
        self._home = home
        self.venues: dict[str, str] = {}
        self._going: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._addresses: dict[str, str] = {}  # as the page has it: as it is here
        programs = home / "bin"
        programs.mkdir()
        (programs / "curl").write_text(CURL)
        (programs / "marketd").write_text(f'#!/bin/sh\nexec {sys.executable} -m marketd "$@"\n')
        (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        (home / "here").mkdir()
        plain = {name: text for name, text in os.environ.items() if not name.endswith(("_WS_URL", "_REST_URL"))}
        path = f"{programs}:{os.environ.get('PATH', '')}"
        self._environ = {**plain, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "HOME": str(home), **servers}

    def simulate(self) -> None:
        """Let simulated venues stand where the real ones would be."""
        self.type("marketd sim --venue all --rate 50 > all.env")
        lines = (self._home / "here" / "all.env").read_text().splitlines()
        self.venues = dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def walk(self, page: Path) -> None:
        for step in STEP.finditer(page.read_text()):
            if step["ctrl"]:
                self.interrupt()
            elif step["name"]:
                (self._home / "here" / step["name"]).write_text(step["text"])
            else:
                for line in step["text"].splitlines():
                    self.type(re.split(r"\s+#", line)[0].strip())
        while self._going:
            self.interrupt()

    def type(self, line: str) -> None:
        line = line.replace("make demo", "marketd demo")
        if line.startswith(GOES_ON):
            self._begin(line)
        elif line and not line.startswith(NOT_HERE):
            self._do(line)

    def _do(self, line: str) -> None:
        """Until it succeeds with something to read: the daemon may have recorded nothing yet."""
        here = re.sub(r"http://127\.0\.0\.1:\d+", lambda found: self._addresses[found[0]], line)
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            ran = subprocess.run(
                ["bash", "-eu", "-c", here], cwd=self._home / "here", env=self._environ_of(line), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=WITHIN_S, check=False,
            )  # fmt: skip
            if ran.returncode == 0 and (ran.stdout.strip() or " -o " in line):
                return
            assert time.monotonic() < deadline_s, f"{line}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"

    def _begin(self, line: str) -> None:
        command, arrow, file = line.partition(" > ")
        said = self._home / f"{len(list(self._home.iterdir()))}.said"
        with said.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-eu", "-c", f"exec {command} --port 0{arrow}{file}"], cwd=self._home / "here",
                env=self._environ_of(line), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        self._going.append((line, process, said))
        deadline_s = time.monotonic() + WITHIN_S
        while (ready := READY.search(self._said(said, file))) is None:
            assert process.poll() is None, f"{line}: ended with {process.returncode}\n{said.read_text()}"
            assert time.monotonic() < deadline_s, f"{line}: never ready\n{said.read_text()}"
            time.sleep(0.05)
        address = ready[1] or ready[2]
        if address is not None:
            self._addresses[f"http://127.0.0.1:{port_of(command)}"] = address

    def _said(self, said: Path, file: str) -> str:
        path = self._home / "here" / file if file else said
        return path.read_text() if path.exists() else ""

    def _environ_of(self, line: str) -> dict[str, str]:
        return self._environ if "--env-file" in line else {**self._environ, **self.venues}

    def interrupt(self) -> None:
        line, process, said = self._going.pop()
        process.send_signal(signal.SIGINT)
        code = process.wait(WITHIN_S)

        assert code == 0, f"{line}: ended with {code}\n{said.read_text()}"

    def leave(self) -> None:
        for _, process, _ in self._going:
            process.kill()
            process.wait()


def port_of(command: str) -> str:
    """Where the page says this program answers."""
    named = re.search(r"--port (\d+)", command)
    if named:
        return named[1]
    if profile := re.search(r"--profile (\S+)", command):
        return str(read_profile(profile[1])["api"]["port"])
    return "8891" if "--provider" in command and " -c " not in command else "8100"


@pytest.fixture
def reader(tmp_path: Path, nats_server: NatsServer, redis_server: RedisServer) -> Iterator[Reader]:
    reader = Reader(tmp_path, {"NATS_URL": nats_server.url, "REDIS_URL": redis_server.url})
    try:
        reader.simulate()
        yield reader
    finally:
        reader.leave()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/getting-started.md",
        "docs/distribution.md",
        "docs/candle-cache.md",
        "docs/message-log.md",
        "docs/backtest.md",
        "docs/analysis-services.md",
        "docs/moving/candle-archive.md",
        "docs/moving/live-ingest.md",
        "docs/moving/trade-streams.md",
        "docs/moving/candle-cache.md",
        "docs/moving/features.md",
        "docs/paper.md",
        "docs/streaming.md",
        "docs/profiles.md",
        "docs/alpaca-keys.md",
        "docs/add-a-sink.md",
    ],
)
def test_a_reader_gets_through_with_every_command(reader: Reader, page: str) -> None:
    reader.walk(ROOT / page)


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_library_snippet_runs(reader: Reader, page: str, tmp_path: Path) -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    led = text.replace('open_venue("binance")', f'open_venue("binance", rest_url="{reader.venues["BINANCE_REST_URL"]}")')
    (tmp_path / "here" / "snippet.py").write_text(led)

    assert led != text
    reader.type("python snippet.py")
