"""Health checks of compose's servers, as an engine runs them; where a tool is not here, its question is asked for it."""

import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.postgres import programs
from tests.server_process import LOOPBACK

WITHIN_S = 5.0  # what compose.yaml gives each of them


def is_healthy(check: Sequence[str], port: int) -> bool:
    """`check` is a service's `healthcheck.test`; the server listens on `port` here."""
    how, program, *words = check

    assert how == "CMD"
    match program:
        case "pg_isready":
            return _passes(programs() / program, *words, "--host", LOOPBACK, "--port", str(port))
        case "valkey-cli":
            own = shutil.which("valkey-cli") or shutil.which("redis-cli")
            return _answers_ping(words, port) if own is None else _passes(own, "-h", LOOPBACK, "-p", str(port), *words)
        case "wget":
            *options, url = words
            path = f"http://{LOOPBACK}:{port}{urlsplit(url).path}"
            own = shutil.which("wget")
            return _serves(path) if own is None else _passes(own, *options, path)
    raise AssertionError(f"{program}: no such check is known here")


def _passes(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _answers_ping(words: Sequence[str], port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), WITHIN_S) as line:
            line.sendall(f"{words[-1]}\r\n".encode())
            return line.recv(64) == b"+PONG\r\n"
    except OSError:
        return False


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False
