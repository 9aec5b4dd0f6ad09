"""A process that only looks at the event store."""

from pathlib import Path

from marketd.clock import SystemClock
from marketd.model.events import Trade
from marketd.stores.events import EventStore, EventStoreConfig
from marketd.stores.looking import open_looker

TS = 1_700_000_000_000_000_000
TRADE = Trade("binance", "BTCUSDT", TS, TS + 1, "61000.10", "0.50", "buy", "7")


async def test_it_sees_what_another_writes_and_creates_nothing(tmp_path: Path) -> None:
    async with open_looker(tmp_path / "market_data.db") as looker:
        before = await looker.ask(lambda reader: reader.latest_trade("BTCUSDT", "binance"))

        assert before is None
        assert list(tmp_path.iterdir()) == []

        async with EventStore(EventStoreConfig(), tmp_path, SystemClock()) as store:
            await store.write([TRADE])
            seen = await looker.ask(lambda reader: reader.latest_trade("BTCUSDT", "binance"))

    assert seen == TRADE
