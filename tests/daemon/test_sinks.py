"""Which sinks a config opens, and where they write."""

from pathlib import Path

import apsw
import pytest

from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.sinks import open_nats, open_store, sinks_of
from marketd.metrics import Metrics
from marketd.venues import venue_named
from tests.nats_servers import NatsServer
from tests.samples import gap, trades


def config(data_dir: Path, **enabled: bool) -> Config:
    return Config.model_validate({"data_dir": data_dir, "sinks": {name: {"enabled": on} for name, on in enabled.items()}})


@pytest.mark.parametrize(
    ("enabled", "names"),
    [
        ({"jsonl": True, "console": True, "prometheus": True}, ["jsonl", "console", "prometheus"]),
        ({"jsonl": False, "console": True, "prometheus": False}, ["console"]),
        ({"jsonl": False, "console": False, "prometheus": False}, []),
    ],
)
def test_those_that_are_enabled_in_the_order_in_which_they_are_shown(
    tmp_path: Path, enabled: dict[str, bool], names: list[str]
) -> None:
    sinks = sinks_of(config(tmp_path, **enabled), Metrics(), SystemClock())

    assert [sink.name for sink in sinks if sink.name in {"jsonl", "console", "prometheus"}] == names


async def test_without_the_store_no_database_is_made(tmp_path: Path) -> None:
    async with open_store(config(tmp_path, sqlite=False), {}, SystemClock()) as store:
        assert store is None

    assert list(tmp_path.iterdir()) == []


async def test_the_store_writes_in_the_data_directory_and_names_how_each_venue_proves_what_it_has(tmp_path: Path) -> None:
    binance = venue_named("binance", {})
    async with open_store(config(tmp_path, sqlite=True), {"binance": binance}, SystemClock()) as store:
        assert store is not None
        await store.write([*trades(1, 3), gap(4, 5)])
    db = apsw.Connection(str(tmp_path / "market_data.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = db.execute("SELECT state, proof FROM ledger ORDER BY id").fetchall()
    db.close()

    assert rows == [("have", binance.proofs["trade"].detects), ("missing", binance.proofs["trade"].detects)]


async def test_where_nats_is_only_welcome_nothing_waits_for_it(tmp_path: Path, nats_server: NatsServer) -> None:
    found = Config.model_validate({"data_dir": tmp_path, "nats": {"enabled": "auto", "url": nats_server.url}})
    async with open_nats(found, SystemClock()) as link:
        assert "nats" in [sink.name for sink in sinks_of(found, Metrics(), SystemClock(), link)]
    nats_server.kill()
    async with open_nats(found, SystemClock()) as link:
        assert "nats" not in [sink.name for sink in sinks_of(found, Metrics(), SystemClock(), link)]
    async with open_nats(found, SystemClock(), only_if_asked=True) as link:
        assert link is None
    asked = found.model_copy(update={"nats": found.nats.model_copy(update={"enabled": True})})
    async with open_nats(asked, SystemClock()) as link:
        assert "nats" in [sink.name for sink in sinks_of(asked, Metrics(), SystemClock(), link)]


async def test_nats_that_is_off_is_not_asked(tmp_path: Path) -> None:
    async with open_nats(config(tmp_path), SystemClock()) as link:
        assert link is None
