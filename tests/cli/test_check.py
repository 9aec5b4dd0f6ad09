"""`check` shows what would start, masks secrets, and says who does not answer."""

from pathlib import Path

import pytest

from tests.cli.conftest import Ask, Said
from tests.nats_servers import NatsServer

SECRETS = {"MARKETD_API_TOKEN": "tell-nobody", "DATABASE_URL": "postgresql://user:hunter2@host/db"}


def test_venues_that_answer_are_ok(ask: Ask, simulated: dict[str, str]) -> None:
    said = ask("check", "--profile", "live-ingest", environ={**simulated, **SECRETS})

    assert said.code == 0, said.out + said.err
    assert said.out.count("ok, connects") == 2
    assert "ok, lists" in said.out
    for name, url in simulated.items():
        assert "COINGECKO" in name or url in said.out.split()  # whole, on one line
    assert "stands by for binance" in said.out
    assert "postgresql://user:***@host/db" in said.out
    assert "hunter2" not in said.out + said.err
    assert "tell-nobody" not in said.out + said.err


def test_an_archive_of_files_is_shown_with_its_address(ask: Ask, simulated: dict[str, str]) -> None:
    files = {"MARKETD__EXCHANGES__BINANCE__BULK_URL": "https://files.example/binance"}
    said = ask("check", "--provider", "binance", "--symbols", "BTCUSDT", environ={**simulated, **files})

    assert said.code == 0, said.out + said.err
    assert "https://files.example/binance" in said.out


def test_what_a_venue_does_not_have_is_not_said_to_be_collected(ask: Ask) -> None:
    away = {"COINBASE_WS_URL": "ws://127.0.0.1:1", "COINBASE_REST_URL": "http://127.0.0.1:1", "NATS_ENABLED": "false"}
    channels = "trade,quote,book,candle"
    said = ask("check", "--provider", "coinbase,alpaca", "--symbols", "BTCUSD", "--channels", channels, environ=away)

    assert "coinbase collects BTCUSD: trade, quote, book; no candle there, the archive builds them from trades" in said.out
    assert "alpaca runs dry, heartbeats only; live it collects BTCUSD: trade, quote, candle; no book there" in said.out


def test_with_one_venue_of_two_down_it_could_still_run(ask: Ask, simulated: dict[str, str]) -> None:
    down = {"BYBIT_WS_URL": "ws://127.0.0.1:1/bybit", "BYBIT_REST_URL": "http://127.0.0.1:1/bybit"}
    said = ask("check", "--profile", "live-ingest", environ={**simulated, **down})

    assert said.code == 0
    assert "no:" in said.out


def test_with_no_venue_it_could_not(ask: Ask) -> None:
    down = {"BINANCE_WS_URL": "ws://127.0.0.1:1/x", "BINANCE_REST_URL": "http://127.0.0.1:1/x", "NATS_ENABLED": "false"}
    said = ask("check", "--provider", "binance", environ=down)

    assert said.code == 1
    assert said.out.count("no:") == 2
    assert (said.out.count("ws://127.0.0.1:1/x"), said.out.count("http://127.0.0.1:1/x")) == (1, 1)


def test_symbols_that_a_venue_does_not_list_are_named_also_beside_a_dry_one(ask: Ask, simulated: dict[str, str]) -> None:
    said = ask("check", "--provider", "binance,alpaca", "--symbols", "BTCUSDT,NOPENOPE", environ=simulated)

    assert said.code == 0, said.out + said.err
    assert "dry run" in said.out
    assert "NOPENOPE: none of binance lists it; it is left out (alpaca runs dry and is not asked)" in said.out


def test_a_symbol_that_one_venue_lists_and_another_does_not_is_said_in_its_row_only(
    ask: Ask, simulated: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("exchanges: {binance: {symbols: [BTCUSDT, NOPENOPE]}, bybit: {symbols: [BTCUSDT]}}")
    said = ask("check", environ=simulated)

    assert "symbols, not NOPENOPE" in said.out
    assert "none of binance, bybit lists it" in said.out


def test_with_no_symbol_left_it_is_a_mistake_in_the_config(ask: Ask, simulated: dict[str, str]) -> None:
    said = ask("check", "--provider", "binance,alpaca", "--symbols", "NOPENOPE", environ=simulated)

    assert said.code == 2
    assert "no venue lists any of NOPENOPE" in said.err


def test_shares_of_a_limit_that_add_up_to_more_than_all_of_it_are_said(ask: Ask, simulated: dict[str, str]) -> None:
    alone = ask("check", "--provider", "binance", "--symbols", "BTCUSDT", environ=simulated)
    sharded = ask("check", "--provider", "binance", "--symbols", "BTCUSDT", "--shard", "1/4", environ=simulated)
    shared = ask(
        "check", "--provider", "binance", "--symbols", "BTCUSDT", "--shard", "1/4",
        environ={**simulated, "MARKETD__EXCHANGES__BINANCE__REST_SHARE": "0.25"},
    )  # fmt: skip

    assert "rest_share" not in alone.out + shared.out
    words = "exchanges.binance.rest_share: 1 in each of 4 processes adds up to 4 of the venue's limit, expected at most 1"
    assert words in sharded.out
    assert "0.25" in sharded.out


def test_two_entries_of_one_address_share_its_limit(ask: Ask, simulated: dict[str, str]) -> None:
    same = {"BINANCE_US_REST_URL": simulated["BINANCE_REST_URL"], "BINANCE_US_WS_URL": simulated["BINANCE_WS_URL"]}
    said = ask("check", "--provider", "binance,binance_us", "--symbols", "BTCUSDT", environ={**simulated, **same})

    assert "exchanges.binance.rest_share, exchanges.binance_us.rest_share: 1 + 1 adds up to 2" in said.out


def test_the_archive_is_told_and_its_venues_and_database_are_asked(ask: Ask, simulated: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [1h]}}\ndaemon: {backfill_days: 7}"
    )
    well = ask("check", environ=simulated)
    away = ask("check", environ={"DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/db"})
    wrong = ask("check", environ={"DATABASE_URL": "archive.db"})

    assert 0 == well.code, well.out + well.err
    assert "binance archives BTCUSDT: 1h, 7 days back" in well.out
    assert "binance collects BTCUSDT: candle" in well.out
    assert "ok, connects" in well.out
    assert "archive.db: ok, no archive there yet" in well.out
    assert 1 == away.code
    assert "no connection" in away.out
    assert "hunter2" not in away.out + away.err
    assert 2 == wrong.code
    assert "database.url: found 'archive.db'" in wrong.err


def test_servers_that_are_optional_may_be_away_and_those_that_are_required_may_not(
    ask: Ask, simulated: dict[str, str], plain_nats_server: NatsServer
) -> None:
    away = {"NATS_URL": "nats://127.0.0.1:1", "NATS_ENABLED": "true"}
    optional = ask("check", "--profile", "live-ingest", environ={**simulated, **away})
    required = ask("check", "--profile", "features", environ=away)
    there = ask("check", "--profile", "features", environ={"NATS_URL": plain_nats_server.url})

    assert "NATS nats://127.0.0.1:1: no: Connection refused; optional" in optional.out
    assert "NATS nats://127.0.0.1:1: no: Connection refused; required" in required.out
    assert f"NATS {plain_nats_server.url}: ok, version " in there.out
    assert (0, 1, 0) == (optional.code, required.code, there.code), (optional.out, required.out, there.out)


def _rows(said: Said) -> list[str]:
    """The names in the table of what would start, as `sink sqlite`."""
    table = said.out.splitlines()[1:]
    names = (
        "sink sqlite",
        "stored events",
        "sink jsonl",
        "sink console",
        "sink prometheus",
        "candle archive",
        "NATS",
        "Redis",
        "pairs",
    )
    return [name for name in names if any(line.startswith(f"{name} ") for line in table)]


@pytest.mark.parametrize(
    ("profile", "runs"),
    [
        ("features", ["sink prometheus", "NATS"]),
        ("live-ingest", ["sink sqlite", "sink jsonl", "sink console", "sink prometheus", "NATS"]),
        ("trade-streams", ["sink prometheus", "Redis", "pairs"]),
        ("scanner", ["sink prometheus", "Redis"]),
        ("ta-service", ["sink prometheus", "Redis"]),
        ("candle-archive", ["sink jsonl", "sink prometheus", "candle archive"]),
        ("api", ["stored events", "sink prometheus", "candle archive"]),
    ],
)
def test_only_what_would_run_is_listed(ask: Ask, profile: str, runs: list[str]) -> None:
    nowhere = {"NATS_URL": "nats://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0", "COINGECKO_URL": "http://127.0.0.1:1"}
    venues = {f"{name}_{kind}_URL": "http://127.0.0.1:1" for name in ("BINANCE", "BYBIT", "BITFINEX") for kind in ("WS", "REST")}
    said = ask("check", "--profile", profile, environ={**nowhere, **venues})

    assert runs == _rows(said), said.out
    assert ("discovered for binance" in said.out) is (profile == "trade-streams")
    assert "pairs 200 discovered" not in " ".join(said.out.split())


def test_partitions_without_jetstream_are_a_mistake_in_the_config(ask: Ask) -> None:
    said = ask("check", "--profile", "features", environ={"MARKETD__FEATURES__PARTITIONS": "8"})

    assert (2, "") == (said.code, said.out)
    assert "config features.partitions: found 8" in said.err
    assert "nats.jetstream: true (USE_JETSTREAM=true)" in said.err
