"""Binance.US spot: Binance with other hosts, a smaller allowance and no trade history without a key.

REST and streams: https://docs.binance.us (state of 2024-06-17)
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from marketd.model.events import Channel
from marketd.model.instruments import Instrument
from marketd.venues.binance import Binance
from marketd.venues.venue import Answer, Proof, Quota, Request, Span, TradesPage


class BinanceUs(Binance):
    name: ClassVar[str] = "binance_us"
    timeframes: ClassVar[Mapping[str, str]] = {name: name for name in Binance.timeframes if name != "1s"}
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        **Binance.proofs,
        "trade": Proof("ids", "GET /api/v3/trades", "the 1000 newest trades of the symbol"),
    }
    bulk_path: ClassVar[str | None] = None
    stream_url = "wss://stream.binance.us:9443"
    rest_url = "https://api.binance.us"
    weight_instruments, weight_trades, weight_snapshot, weight_candles = 10, 1, 10, 1
    weight_prices: ClassVar[tuple[int, int, int]] = (1, 20, 40)

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        self.limits = replace(self.limits, rest={"": Quota(1200, 60.0)}, silent_after_s=240.0)  # pinged every 3 min

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        return Request("/api/v3/trades", {"symbol": instrument.venue_symbol, "limit": "1000"}, weight=self.weight_trades)

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        return super().read_trades(answer, instrument, span, ts_recv)._replace(more=None)  # older ones need a key
