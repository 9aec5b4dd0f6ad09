"""`demo` needs nothing, shows several live venues, and ends in order."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Ask, Start


def test_a_demo_is_live_on_several_venues_and_ends_on_ctrl_c(start: Start) -> None:
    program = start("demo", "--port", "0")
    address = program.wait_for("open http").split()[3]
    live: set[str] = set()
    for _ in range(2000):
        status = httpx.get(f"{address}/status").json()
        live = {one["provider"] for one in status["subscriptions"] if one["state"] == "live" and one["last_event"]}
        if len(live) >= 3:
            break

    assert len(live) >= 3
    assert "<title>marketd" in httpx.get(address).text  # the dashboard where it is built
    assert "marketd is" in httpx.get(f"{address}/plain").text
    assert program.end() == 0
    assert program.said["out"][-1] == "marketd demo: stopped"


def test_a_demo_whose_venues_are_killed_ends_in_order_and_says_so(start: Start) -> None:
    program = start("demo", "--port", "0")
    program.wait_for("open http")
    (child,) = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)

    assert program.wait() == 1
    assert "marketd: the process of the simulated venues ended while it was wanted (SIGKILL)" in program.said["err"]


@pytest.mark.parametrize("words", [("--rate", "inf"), ("--rate", "-1"), ("--seconds", "nan"), ("--seconds", "inf")])
def test_a_rate_or_a_time_that_is_none_is_refused(ask: Ask, words: tuple[str, str]) -> None:
    said = ask("demo", *words)

    assert said.code == 2
    assert words[0] in said.err
