"""docs/deploy.md: each drop-in beside the unit it belongs to, each file beside the one it is read with, each command by name."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.servers import tool
from tests.deploy.units import INSTALLED, ROOT, SYSTEM, UNITS, USER
from tests.test_documentation import Block, blocks_of, check_marketd

BLOCKS = list(blocks_of(ROOT / "docs" / "deploy.md"))
DROP_INS = [block for block in BLOCKS if block.language == "ini"]
COMPOSE, PROMETHEUS = (block for block in BLOCKS if block.language == "yaml")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
COMMANDS = [words for block in BLOCKS if block.language == "sh" for words in block.commands()]


def test_docker_is_asked_for_what_compose_and_the_image_have() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    composed = [words[2:] for words in COMMANDS if words[:2] == ["docker", "compose"]]
    named = {words[at + 1] for words in composed for at, word in enumerate(words) if word == "--profile"}
    ran = [words for words in COMMANDS if words[:2] in (["docker", "run"], ["docker", "exec"]) and "--help" not in words]

    assert len(composed) > 4
    assert named <= profiles
    assert {words[-1] for words in composed if "logs" in words} <= set(SERVICES)
    for words in ran:  # `marketd` is the image's name in `run`, the program in `exec`
        check_marketd(words[words.index("marketd") + 1 :])


def test_what_is_installed_lies_there() -> None:
    installed = [words[-2] for words in COMMANDS if words[0] == "install" and "--mode" in words]
    of_pip = [words[words.index("--requirement") + 1] for words in COMMANDS if "--requirement" in words]

    assert [path for path in [*installed, *of_pip] if not (ROOT / path).is_file()] == []


def test_units_are_named_as_they_are_called() -> None:
    old = {path.name for path in SYSTEM} | {"market-data-api.service"}  # the last one an alias of the first
    asked = {word for words in COMMANDS if words[0] in {"systemctl", "journalctl"} for word in words if word.startswith("market")}

    assert asked
    assert [name for name in asked - old if not re.fullmatch(r"marketd@[a-z-]+", name)] == []


def test_the_override_names_a_service_and_is_taken_with_the_file(tmp_path: Path) -> None:
    assert yaml.safe_load(COMPOSE.text)["services"].keys() <= SERVICES.keys()
    if (compose := tool("docker-compose")) is not None:  # where compose itself is
        override = tmp_path / "compose.override.yaml"
        override.write_text(COMPOSE.text)
        words = [compose, "-f", ROOT / "compose.yaml", "-f", override, "--profile", "*", "config"]
        checked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

        assert checked.returncode == 0, checked.stderr
        assert "/data/config.yaml" in checked.stdout


def test_prometheus_is_shown_the_job_that_the_rules_ask_about() -> None:
    (job,) = yaml.safe_load(PROMETHEUS.text)["scrape_configs"]

    assert f'job="{job["job_name"]}"' in (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()


@pytest.mark.parametrize("block", DROP_INS, ids=str)
def test_a_drop_in_changes_what_the_unit_knows(block: Block, tmp_path: Path) -> None:
    names = re.findall(r"^(\w+)=", block.text, re.MULTILINE)

    assert block.text.lstrip("# \nabcdefghijklmnopqrstuvwxyz@-").startswith("[Service]")
    assert names
    if shutil.which("systemd-analyze"):  # where systemd's own checker is
        path = UNITS / "user" / "marketd@.service" if "PrivateUsers" in names else UNITS / "marketd@.service"
        unit = tmp_path / path.name
        unit.write_text(INSTALLED.sub("/bin/true", path.read_text()))
        more = tmp_path / f"{path.name}.d" / "override.conf"
        more.parent.mkdir()
        more.write_text(block.text)
        checked = subprocess.run(
            ["systemd-analyze", *(["--user"] if path in USER else []), "verify", "--man=no", str(unit)],
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert (checked.returncode, checked.stderr) == (0, "")
        assert path in SYSTEM + USER
