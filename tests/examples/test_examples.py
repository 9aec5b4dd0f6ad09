"""The examples run as their reader would run them: docs/library.md, docs/client.md and docs/add-a-venue.md show how."""

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketd.sim.server import open_sim
from marketd.venues import known_venues, source_named
from marketd.venues.provider import MarketDataProvider
from tests.daemons import eventually

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


async def test_the_library_example_prints_history_and_live_candles() -> None:
    async with open_sim(["binance"], rate=200, seed=8) as sim:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "candles.py"),
            "binance",
            "BTCUSDT",
            env={**os.environ, **sim.env(), "PYTHONPATH": str(EXAMPLES.parent / "src")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaints = await asyncio.wait_for(process.communicate(), 60)
        lines = said.decode().splitlines()

        assert process.returncode == 0, complaints.decode()
        assert len([line for line in lines if line.startswith("live ")]) == 10
        assert len(lines) == 14


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["binance"], "usage: python examples/candles.py [VENUE SYMBOL]"),
        (["binance", "NOPE"], "candles: binance does not list 'NOPE'"),
        (["nowhere", "BTCUSDT"], "candles: "),
    ],
)
async def test_the_library_example_says_what_is_wrong_in_a_line(words: list[str], says: str) -> None:
    async with open_sim(["binance"], seed=8) as sim:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "candles.py"),
            *words,
            env={**os.environ, **sim.env(), "PYTHONPATH": str(EXAMPLES.parent / "src")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaints = await asyncio.wait_for(process.communicate(), 60)
        lines = complaints.decode().splitlines()

        assert (process.returncode, len(lines)) == (1, 1), lines
        assert lines[0].startswith(says)


@pytest.mark.parametrize(
    ("example", "words", "says"),
    [
        ("ask.py", ["http://127.0.0.1:1"], "usage: python examples/ask.py [ADDRESS VENUE SYMBOL]"),
        ("ask.py", ["127.0.0.1:1", "binance", "BTCUSDT"], "ask: base_url: found '127.0.0.1:1'"),
        ("listen.py", ["http://127.0.0.1:1"], "usage: python examples/listen.py [ADDRESS SYMBOL [COUNT]]"),
        ("listen.py", ["http://127.0.0.1:1", "BTCUSDT", "x"], "usage: python examples/listen.py [ADDRESS SYMBOL [COUNT]]"),
        ("listen.py", ["127.0.0.1:1", "BTCUSDT"], "listen: base_url: found '127.0.0.1:1'"),
    ],
)
def test_an_example_says_what_is_wrong_in_a_line(example: str, words: list[str], says: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *words],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (1, 1) == (ran.returncode, ran.stderr.count("\n")), ran.stderr
    assert ran.stderr.startswith(says)


def test_the_package_outside_installs_without_a_network(tmp_path: Path) -> None:
    source, target = tmp_path / "outside", tmp_path / "installed"
    shutil.copytree(EXAMPLES / "outside", source, ignore=shutil.ignore_patterns("__pycache__", "build", "dist"))
    words = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "install", *words, str(source)], capture_output=True, text=True, timeout=100, check=False
    )
    entry_points = (target / "marketd_outside-1.0.0.dist-info" / "entry_points.txt").read_text() if not ran.returncode else ""

    assert ran.returncode == 0, ran.stderr
    assert (target / "outside.py").is_file()
    assert "dice = outside:Dice" in entry_points
    asked = subprocess.run(
        [sys.executable, "-c", "from marketd.venues import known_venues; print(*known_venues())"],
        env={**os.environ, "PYTHONPATH": f"{EXAMPLES.parent / 'src'}{os.pathsep}{target}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert {"dice", "binance_mirror"} <= set(asked.stdout.split())


async def test_the_client_example_prints_what_a_daemon_has_stored(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [1m]}}\ndaemon: {backfill_days: 1}\n"
    )
    async with open_sim(["binance"], rate=100, seed=8) as sim, run_daemon(sim, profile=None) as running:
        await eventually(lambda: running.views.archive.live.last and not running.views.archive.keeper.is_filling)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "ask.py"),
            running.address,
            "binance",
            "BTCUSDT",
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaints = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0, complaints.decode()
    assert "binance BTCUSDT 1m" in said.decode()
    assert "candles in the last hour" in said.decode()
    assert "shape: (" in said.decode()


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example package as an installer leaves it: the module beside its entry points."""
    (tmp_path / "outside.py").write_text((EXAMPLES / "outside" / "outside.py").read_text())
    info = tmp_path / "marketd_outside-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marketd-outside\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[marketd.venues]\nbinance_mirror = outside:BinanceMirror\ndice = outside:Dice\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("outside", None)


def test_a_venue_from_outside_is_known_by_its_entry_point(outside: None) -> None:
    assert {"binance_mirror", "dice"} <= set(known_venues())
    assert source_named("binance_mirror", {}).name == "binance_mirror"
    assert isinstance(source_named("dice", {}), MarketDataProvider)


async def test_both_run_in_a_daemon_beside_the_shipped_venues(outside: None, run_daemon, tmp_path: Path) -> None:
    async with open_sim(["binance"], rate=200, seed=9) as sim:
        at = sim.env()
        (tmp_path / "config.yaml").write_text(
            "exchanges:\n"
            f"  binance_mirror: {{symbols: [BTCUSDT], ws_url: '{at['BINANCE_WS_URL']}', rest_url: '{at['BINANCE_REST_URL']}'}}\n"
            "  dice: {symbols: [SIXUSD], channels: [trade]}\n"
        )
        async with run_daemon(sim, profile=None) as running:
            await eventually(lambda: running.views.latest.trade("binance_mirror", "BTCUSDT") is not None)
            await eventually(lambda: running.views.latest.trade("dice", "SIXUSD") is not None)
            await eventually(lambda: running.views.health.components()["venue.dice"].status == "ok")


async def test_the_live_example_prints_what_a_daemon_hears(run_daemon) -> None:
    async with open_sim(["binance"], rate=100, seed=8) as sim, run_daemon(sim) as running:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "listen.py"),
            running.address,
            "BTCUSDT",
            "20",
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaints = await asyncio.wait_for(process.communicate(), 60)
        lines = said.decode().splitlines()

    assert process.returncode == 0, complaints.decode()
    assert len([line for line in lines if line.startswith("live ")]) == 20
    assert any("Trade(" in line for line in lines)
