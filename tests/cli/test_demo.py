"""`demo` needs nothing, shows several live venues, and ends in order."""

import httpx

from tests.cli.conftest import Start


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
