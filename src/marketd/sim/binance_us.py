"""
A pretend Binance.US: Binance with other markets and limits.

Protocol: https://docs.binance.us (2024-06).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from marketd.sim.binance import TIMEFRAMES, Binance
from marketd.sim.candles import Timeframe
from marketd.sim.history import Trade
from marketd.sim.symbols import MARKETS_US
from marketd.sim.wire import Request, Response, to_json


class BinanceUs(Binance):
    """Binance with other limits, order ids in its trades, and a key for old trades."""

    name: ClassVar[str] = "binance_us"
    default_symbols: ClassVar[Sequence[str]] = MARKETS_US
    weight_limit = 1200
    timeframes: ClassVar[Mapping[str, Timeframe]] = {name: each for name, each in TIMEFRAMES.items() if name != "1s"}
    weights: ClassVar[dict[str, int]] = {"exchangeInfo": 10, "historicalTrades": 5}
    depth_weights: ClassVar[tuple[int, ...]] = (1, 5, 10, 50)
    ticker_weights: ClassVar[tuple[int, ...]] = (1, 20, 40)
    ping_every_s, pong_within_s, messages_per_s = 180, 600, 5

    def order_ids(self, trade: Trade) -> str:
        return f'"b":{trade.trade_id * 2 + 1_000_000},"a":{trade.trade_id * 2 + 1_000_001},'

    def answer(self, request: Request) -> Response:
        if request.path.endswith("/historicalTrades") and "x-mbx-apikey" not in request.headers:
            return Response(to_json({"code": -2014, "msg": "API-key format invalid."}), 401)
        return super().answer(request)
