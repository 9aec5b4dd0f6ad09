"""The image: what its file says is run as a process, since no engine is needed to know that the commands work."""

import re
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.cli.conftest import Start
from tests.deploy import image
from tests.deploy.containers import run
from tests.deploy.servers import tool

IGNORED = image.ROOT / ".dockerignore"


@pytest.fixture
def all_venues(start: Start) -> dict[str, str]:
    program = start("sim", "--venue", "all", "--port", "0", "--rate", "50")
    program.wait_for("COINGECKO_URL")
    return dict(line.removeprefix("export ").split("=", 1) for line in program.said["out"])


def test_the_command_of_the_image_is_healthy_and_stops_in_order(start: Start, all_venues: dict[str, str], tmp_path: Path) -> None:
    container = run(start, image.command(), tmp_path / "data", all_venues)
    container.until_healthy()

    assert container.stop() == 0
    assert (tmp_path / "data" / "market_data.db").exists()


def test_the_health_check_fails_where_nobody_answers_or_the_answer_is_unhealthy(start: Start, tmp_path: Path) -> None:
    away = {"BINANCE_WS_URL": "ws://127.0.0.1:1", "BINANCE_REST_URL": "http://127.0.0.1:1"}
    container = run(start, ["run", "--provider", "binance", "--symbols", "BTCUSDT"], tmp_path / "data", away)
    before = container.check().returncode
    container.program.wait_for("daemon.started")
    unhealthy = container.check()

    assert before != 0
    assert unhealthy.returncode != 0
    assert "503" in unhealthy.stderr
    assert container.stop() == 0


def test_it_runs_as_nobody_in_particular_with_its_data_in_a_volume() -> None:
    user = image.of_last_stage("USER")

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, so that an engine can see that it is not root"
    assert image.of_last_stage("VOLUME") == image.environ()["MARKETD_DATA_DIR"] == "/data"
    assert ("RUN", f"install -d -o {user.split(':')[0]} -g {user.split(':')[1]} /data") in image.last_stage()


def test_packages_come_by_hash_and_nothing_is_fetched_in_the_last_stage() -> None:
    fetching = [
        text for word, text in image.instructions() if word == "RUN" for text in re.findall(r"pip (?:install|wheel)[^&]*", text)
    ]
    loose = [text for text in fetching if not ("--require-hashes" in text or "--no-index" in text)]

    assert loose == []
    assert not any("pip" in text for word, text in image.last_stage() if word == "RUN")


def test_the_build_backend_is_whole() -> None:
    """What the file takes out of requirements-dev.lock is all that building the package needs."""
    (pattern,) = re.findall(r"wanted = /\^\((.*?)\)==/", image.DOCKERFILE.read_text())
    names = set(re.findall(r"^([a-z-]+)==", (image.ROOT / "requirements-dev.lock").read_text(), re.M))
    needed = {
        re.split(r"[^\w-]", line, maxsplit=1)[0].lower()
        for line in requires("hatchling") or ()
        if "extra ==" not in line and "tomli" not in line
    }

    assert set(pattern.split("|")) == {"hatchling", *needed}
    assert set(pattern.split("|")) <= names


def test_only_what_the_image_is_made_from_is_sent_to_the_engine() -> None:
    allowed = {line.removeprefix("!") for line in IGNORED.read_text().splitlines() if line.startswith("!")}
    copied = {
        word for name, text in image.instructions() if name == "COPY" and "--from" not in text for word in text.split()[:-1]
    }

    assert IGNORED.read_text().splitlines()[1] == "*"
    assert allowed == copied


if (hadolint := tool("hadolint")) is not None:  # where the linter is

    def test_the_linter_has_nothing_to_say() -> None:
        linted = subprocess.run(
            [hadolint, "--failure-threshold", "style", image.DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
        )

        assert (linted.returncode, linted.stdout) == (0, "")
