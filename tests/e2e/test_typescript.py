"""The TypeScript client: its own tests in Node and in a browser, on a real daemon, and its use as a package and as a copy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Start, start

__all__ = ["start"]
CLIENT = Path(__file__).resolve().parent.parent.parent / "clients" / "typescript"
PROGRAM = """
import { fetchCandles, MarketDataClient, type Candle } from "%s";

const baseUrl = process.argv[2]!;
const pairs: string[] = (await new MarketDataClient({ baseUrl }).get("/pairs", {})).pairs;
const candles: Candle[] = await fetchCandles("BTCUSD", "1m", 2, { baseUrl }).catch(() => []);
console.log(JSON.stringify({ pairs, candles }));
"""
STRICT = {
    "strict": True, "exactOptionalPropertyTypes": True, "noUncheckedIndexedAccess": True, "skipLibCheck": False,
    "target": "ES2022", "lib": ["ES2022", "DOM", "DOM.Iterable", "DOM.AsyncIterable"], "outDir": "out",
}  # fmt: skip


def run(*command: str | Path, cwd: Path, within_s: float = 120) -> str:
    environment = {**os.environ, "MARKETD_PYTHON": sys.executable}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=within_s, check=False)

    assert ran.returncode == 0, f"{command}\n{ran.stdout[-8000:]}\n{ran.stderr[-2000:]}"
    return ran.stdout


@pytest.fixture(scope="module")
def installed() -> Path:
    run("npm", "ci", "--no-audit", "--no-fund", cwd=CLIENT)
    return CLIENT


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_client_passes_its_tests_in_node_and_in_a_browser(installed: Path) -> None:
    run("npm", "test", cwd=installed, within_s=800)


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["package", "copy"])
def test_a_project_that_has_nothing_else_takes_the_client(installed: Path, tmp_path: Path, start: Start, way: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "project", "private": true, "type": "module"}')
    resolution = {"package": {"module": "NodeNext"}, "copy": {"module": "ESNext", "moduleResolution": "bundler"}}[way]
    types = {"types": ["node"], "typeRoots": [str(installed / "node_modules" / "@types")]}
    options = {"compilerOptions": STRICT | resolution | types, "files": ["program.ts"]}
    (project / "tsconfig.json").write_text(json.dumps(options))
    (project / "program.ts").write_text(PROGRAM % taken(installed, project, way))
    address = start("demo", "--port", "0").wait_for("open http").split()[3]
    run(installed / "node_modules" / ".bin" / "tsc", "-p", "tsconfig.json", cwd=project)
    answer = json.loads(run("node", "out/program.js", address, cwd=project))

    assert "BTCUSDT" in answer["pairs"]
    assert all(isinstance(candle["close"], str) for candle in answer["candles"])


def taken(client: Path, project: Path, way: str) -> str:
    """Without a registry: what to import it by."""
    if way == "copy":
        shutil.copytree(client / "src", project / "marketd")
        return "./marketd/index.js"
    (packed,) = json.loads(run("npm", "pack", "--json", "--pack-destination", project, cwd=client))
    names = {one["path"] for one in packed["files"]}
    run("npm", "install", "--offline", "--no-audit", "--no-fund", f"./{packed['filename']}", cwd=project)

    assert {"dist/index.js", "dist/index.d.ts", "src/index.ts", "README.md", "package.json"} <= names
    assert {name.split("/")[0] for name in names} == {"dist", "src", "README.md", "package.json"}
    return "marketd-client"
