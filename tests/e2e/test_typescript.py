"""The TypeScript client: its own tests in Node and in a browser, on a real daemon, its use as a package and as a copy,
and the program and commands of clients/typescript/README.md.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Start, start
from tests.test_documentation import blocks_of

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


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_the_blocks_of_the_page_are_one_program_that_runs(installed: Path, tmp_path: Path, start: Start) -> None:
    """Led to a demo of its own, and let go after three seconds; the commands are those that the tests here run."""
    blocks = list(blocks_of(CLIENT / "README.md"))
    text = "\n".join(block.text for block in blocks if block.language == "ts")
    commands = [line for block in blocks if block.language == "sh" for line in block.text.splitlines()]
    address = start("demo", "--port", "0").wait_for("open http").split()[3]
    led = text.replace("http://10.0.0.5:8100", address).replace('"1m", 100)', f'"1m", 100, {{ baseUrl: "{address}" }})')
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "project", "private": true, "type": "module"}')
    types = {"module": "NodeNext", "types": ["node"], "typeRoots": [str(installed / "node_modules" / "@types")]}
    (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": STRICT | types, "files": ["program.ts"]}))
    (project / "program.ts").write_text(f"{led}\nsetTimeout(() => {{ leave(); process.exit(0); }}, 3000);\n")
    taken(installed, project, "package")
    run(installed / "node_modules" / ".bin" / "tsc", "-p", "tsconfig.json", cwd=project)
    said = run("node", "--experimental-websocket", "out/program.js", cwd=project).splitlines()

    assert commands == ["cd clients/typescript", "npm ci", "npm pack", "npm test"]
    assert led.count(address) == 2
    assert len(said) > 3, said
    assert [line for line in said if not re.fullmatch(r"\d+\.\d+|\d{16,}n|\d{4}-\S+|undefined", line)] == []


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
