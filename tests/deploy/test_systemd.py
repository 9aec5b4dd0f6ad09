"""The units, and what the daemon that they start tells systemd: from its socket, as systemd would hear it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from marketd.config.sources import profile_names
from tests.cli.conftest import Start
from tests.deploy.units import INSTALLED, SYSTEM, UNITS, USER, Unit
from tests.notified import Notified

TEMPLATE, OF_A_USER = UNITS / "marketd@.service", UNITS / "user" / "marketd@.service"
OLD_NAMES = {"market-data.service": "candle-archive", "coinex-market-data.service": "candle-cache"}
EXPOSURE_MAX = 2.5
NOWHERE = "ws://127.0.0.1:1"


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Notified]:
    with Notified(tmp_path / "notify") as listening:
        yield listening


def marketd_of(unit: Unit) -> tuple[str, ...]:
    program, *words = unit.one("ExecStart").split()

    assert program.endswith("/marketd")
    return tuple(words)


def started(start: Start, unit: Unit, notified: Notified, environ: dict[str, str]) -> Popen[str]:
    """As the unit says, with a watchdog that is fed faster than a person would ask for."""
    own = {"NOTIFY_SOCKET": str(notified.path), "WATCHDOG_USEC": "400000", "HTTP_PORT": "0", "NATS_ENABLED": "false"}
    return start(*marketd_of(unit), environ={**unit.environ, **own, **environ}).process


@pytest.mark.parametrize("path", [TEMPLATE, OF_A_USER], ids=["system", "user"])
def test_the_command_of_a_unit_is_ready_alive_and_stopping(
    start: Start, simulated: dict[str, str], notified: Notified, tmp_path: Path, path: Path
) -> None:
    unit = Unit(path, "live-ingest", tmp_path)
    program = started(start, unit, notified, simulated)
    notified.until(lambda line: line == "READY=1")
    status = notified.until(lambda line: line.startswith("STATUS=ok; http://"))
    notified.until(lambda line: line == "WATCHDOG=1")
    program.send_signal(signal.SIGTERM)
    notified.until(lambda line: line == "STOPPING=1")

    assert program.wait(40) == 0
    assert "127.0.0.1" in status
    assert notified.heard.count("READY=1") == 1
    assert (tmp_path / "lib/marketd/live-ingest/market_data.db").exists()


def test_a_start_without_data_is_not_ready_says_why_and_asks_for_time(start: Start, notified: Notified, tmp_path: Path) -> None:
    away = {f"{name}_WS_URL": NOWHERE for name in ("BINANCE", "BYBIT")}
    away |= {f"{name}_REST_URL": "http://127.0.0.1:1" for name in ("BINANCE", "BYBIT")}
    started(start, Unit(TEMPLATE, "live-ingest", tmp_path), notified, away)
    status = notified.until(lambda line: line.startswith("STATUS=unhealthy"))
    for _ in range(3):
        notified.until(lambda line: line.startswith("EXTEND_TIMEOUT_USEC="))

    assert "venues unhealthy: no venue has fresh data" in status
    assert "READY=1" not in notified.heard


def test_a_process_that_stands_still_feeds_no_watchdog(
    start: Start, simulated: dict[str, str], notified: Notified, tmp_path: Path
) -> None:
    program = started(start, Unit(TEMPLATE, "live-ingest", tmp_path), notified, simulated)
    notified.until(lambda line: line == "READY=1")
    program.send_signal(signal.SIGSTOP)
    notified.drain()
    meanwhile = notified.hear(1.0)  # two and a half times the watchdog's patience
    program.send_signal(signal.SIGCONT)

    assert meanwhile == []
    assert notified.until(lambda line: line == "WATCHDOG=1") == "WATCHDOG=1"


@pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_nothing_that_is_installed_needs_memory_it_may_write_and_run(path: Path) -> None:
    """MemoryDenyWriteExecute, as Linux 6.3 and newer have it for everybody; an older one lets all pass."""
    denied = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.executable, sys.argv[1:])"
    wanted = "import marketd.daemon, talib, polars, pyarrow, uvloop, picows, asyncpg"
    ran = subprocess.run(
        [sys.executable, "-c", denied, sys.executable, "-c", wanted],
        env={**os.environ, "PYTHONPATH": str(UNITS.parents[1] / "src"), **Unit(path).environ},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_unit_leaves_what_the_metrics_of_the_process_are_read_from(path: Path) -> None:
    """/proc/stat: without it there is no process_resident_memory_bytes."""
    assert Unit(path).all("ProcSubset") == []


@pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: path.name)
def test_a_unit_starts_a_profile_that_there_is(path: Path) -> None:
    profile = marketd_of(Unit(path))[-1]

    assert profile in {*profile_names(), "%i"}


@pytest.mark.parametrize(("name", "profile"), OLD_NAMES.items())
def test_an_old_name_is_the_template_for_its_profile(name: str, profile: str) -> None:
    old, new = Unit(UNITS / name), Unit(TEMPLATE, profile)
    own = {"Unit": {"Description", "Conflicts"}, "Install": {"Alias"}}

    assert old.one("Conflicts", "Unit") == f"marketd@{profile}.service"
    for section, settings in new.sections.items():
        same = {key: [re.sub("%(.)", as_root, text) for text in texts] for key, texts in old.sections[section].items()}
        for key in own.get(section, set()):
            same.pop(key, None)

        assert same == {key: texts for key, texts in settings.items() if key not in own.get(section, set())}


def as_root(found: re.Match[str]) -> str:
    return {"S": "/lib", "E": "/etc"}[found[1]]


def test_every_old_name_leads_to_a_unit() -> None:
    names = {path.name for path in SYSTEM} | {alias for path in SYSTEM for alias in Unit(path).all("Alias", "Install")}

    assert {"coinex-market-data.service", "market-data.service", "market-data-api.service"} <= names


@pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: path.name)
def test_a_unit_tells_systemd_what_the_daemon_says_and_does(path: Path) -> None:
    unit = Unit(path)
    said = {name: unit.one(name) for name in ("Type", "NotifyAccess", "Restart", "RestartPreventExitStatus", "KillMode")}

    assert said == {
        "Type": "notify", "NotifyAccess": "main", "Restart": "on-failure", "RestartPreventExitStatus": "2", "KillMode": "mixed",
    }  # fmt: skip
    assert unit.one("StartLimitIntervalSec", "Unit") == "0"
    assert int(unit.one("WatchdogSec")) > 0


if shutil.which("systemd-analyze"):  # where systemd's own checker is; elsewhere there is nothing to ask

    @pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: f"{path.parent.name}-{path.name}")
    def test_systemd_accepts_the_unit(path: Path, tmp_path: Path) -> None:
        here = tmp_path / path.name  # with a program that is there, since the checker looks for it
        here.write_text(INSTALLED.sub("/bin/true", path.read_text()))
        mode = ["--user"] if path in USER else []
        checked = analyse(*mode, "verify", "--man=no", str(here), runtime=tmp_path)

        assert (checked.returncode, checked.stderr) == (0, "")

    @pytest.mark.parametrize("path", SYSTEM + USER, ids=lambda path: f"{path.parent.name}-{path.name}")
    def test_systemd_finds_little_that_the_unit_exposes(path: Path) -> None:
        checked = analyse("security", "--offline=true", "--no-pager", str(path))
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", checked.stdout)

        assert level is not None, checked.stdout + checked.stderr
        assert float(level[1]) < EXPOSURE_MAX


def analyse(*words: str, runtime: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, **({} if runtime is None else {"XDG_RUNTIME_DIR": str(runtime)})}  # asked for where a user's are
    return subprocess.run(["systemd-analyze", *words], env=environ, capture_output=True, text=True, timeout=60, check=False)
