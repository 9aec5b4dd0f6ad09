"""`check` shows what would start, masks secrets, and says who does not answer."""

from pathlib import Path

from tests.cli.conftest import Ask

SECRETS = {"MARKETD_API_TOKEN": "tell-nobody", "DATABASE_URL": "postgresql://user:hunter2@host/db"}


def test_venues_that_answer_are_ok(ask: Ask, simulated: dict[str, str]) -> None:
    said = ask("check", "--profile", "live-ingest", environ={**simulated, **SECRETS})

    assert said.code == 0, said.out + said.err
    assert said.out.count("ok, connects") == 2
    assert "ok, lists" in said.out
    for url in simulated.values():
        assert url in said.out
    assert "stands by for binance" in said.out
    assert "postgresql://user:***@host/db" in said.out
    assert "hunter2" not in said.out + said.err
    assert "tell-nobody" not in said.out + said.err


def test_with_one_venue_of_two_down_it_could_still_run(ask: Ask, simulated: dict[str, str]) -> None:
    down = {"BYBIT_WS_URL": "ws://127.0.0.1:1/bybit", "BYBIT_REST_URL": "http://127.0.0.1:1/bybit"}
    said = ask("check", "--profile", "live-ingest", environ={**simulated, **down})

    assert said.code == 0
    assert "no:" in said.out


def test_with_no_venue_it_could_not(ask: Ask) -> None:
    down = {"BINANCE_WS_URL": "ws://127.0.0.1:1/x", "BINANCE_REST_URL": "http://127.0.0.1:1/x"}
    said = ask("check", "--provider", "binance", environ=down)

    assert said.code == 1
    assert said.out.count("no:") == 2


def test_what_is_not_in_this_version_is_said(ask: Ask) -> None:
    said = ask("check", "--profile", "scanner")

    assert said.code == 2
    assert "role scanner is not in this version" in said.out


def test_settings_without_effect_are_named(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("daemon: {backfill_days: 3}\nroles: []\nexchanges: {}")
    said = ask("check")

    assert said.code == 0
    assert "without effect in this version: daemon.backfill_days" in said.out
