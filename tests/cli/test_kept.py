"""What the archive would keep, told before it starts."""

from pathlib import Path

from marketd.cli.kept import ask, plan
from marketd.config import Config, Flags, load


def config(tmp_path: Path, yaml: str) -> Config:
    (tmp_path / "config.yaml").write_text("roles: [archive]\n" + yaml)
    return load(Flags(data_dir=tmp_path / "data"), environ={}, cwd=tmp_path)


def test_each_venue_is_told_with_its_series_and_how_far_back(tmp_path: Path) -> None:
    yaml = "exchanges: {binance: {symbols: [BTCUSDT, ETHUSDT], timeframes: [1m, 1h]}, kraken: {symbols: [BTCUSD]}}"
    found = config(tmp_path, yaml + "\ndaemon: {backfill_days: 1000}")

    assert [
        "binance archives BTCUSDT, ETHUSDT: 1m, 1h, 1,000 days back",
        "kraken archives BTCUSD: 1m (exchanges.kraken.timeframes is not set), 1,000 days back",
    ] == list(plan(found))


def test_timeframes_that_a_venue_lacks_are_named_and_so_is_an_archive_of_nothing(tmp_path: Path) -> None:
    lines = list(plan(config(tmp_path, "exchanges: {binance: {symbols: [BTCUSDT], timeframes: [2m]}}")))

    assert lines[0].startswith("exchanges.binance.timeframes: binance has no 2m, left out; allowed: 1s, 1m, 3m")
    assert lines[1].startswith("the archive keeps nothing")


async def test_the_database_is_asked(tmp_path: Path) -> None:
    line, is_well = await ask(config(tmp_path, "exchanges: {}"), 5.0)
    away, is_there = await ask(config(tmp_path, "database: {url: 'postgresql://user:hunter2@127.0.0.1:1/db'}"), 5.0)

    assert is_well
    assert "archive.db: ok, no archive there yet" in line
    assert not is_there
    assert "database: no: postgresql://user:***@127.0.0.1:1/db: no connection" in away
