"""Events with invented numbers, to be varied by a test; and the config file that must be accepted unchanged."""

from typing import Any

from marketd.model.events import BookDelta, BookL2, Candle, Event, Gap, Heartbeat, LineState, Quote, Status, Trade

T0 = 1_700_000_000_000_000_000
MS = 1_000_000

SAMPLE_CONFIG = """
exchanges:
  bitfinex:
    enabled: true
    symbols: [BTCUSD, ETHUSD, SOLUSD]
    timeframes: [1m, 5m, 1h, 1d]
database: {url: "postgresql://user:pass@localhost:5432/marketdata"}     # default: SQLite in the data directory
daemon: {backfill_on_startup: true, backfill_days: 365, gap_repair_interval_minutes: 60, health_check_interval_seconds: 30}
api: {host: 0.0.0.0, port: 8100}
"""


def trade(number: int = 1, **changes: Any) -> Trade:
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": T0 + number * MS, "ts_recv": T0 + number * MS + 500_000,
        "price": "37123.45000000", "size": "0.00150000", "side": "buy", "trade_id": str(number),
    }  # fmt: skip
    return Trade(**{**fields, **changes})


def trades(first: int, last: int, **changes: Any) -> list[Event]:
    """From the first to the last number, both included."""
    return [trade(number, **changes) for number in range(first, last + 1)]


def quote(number: int = 1, **changes: Any) -> Quote:
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": None, "ts_recv": T0 + number * MS, "bid": "37123.40000000",
        "bid_size": "1.20000000", "ask": "37123.50000000", "ask_size": "0.70000000", "seq": number,
    }  # fmt: skip
    return Quote(**{**fields, **changes})


def book(number: int = 1, **changes: Any) -> BookL2:
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": T0 + number * MS, "ts_recv": T0 + number * MS,
        "bids": [("37123.40", "1.20"), ("37123.30", "0.10")], "asks": [("37123.50", "0.70")], "seq": number,
    }  # fmt: skip
    return BookL2(**{**fields, **changes})


def delta(number: int = 1, **changes: Any) -> BookDelta:
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": T0 + number * MS, "ts_recv": T0 + number * MS,
        "bids": [("37123.40", "0")], "asks": [], "seq": number, "prev_seq": number - 1,
    }  # fmt: skip
    return BookDelta(**{**fields, **changes})


def candle(number: int = 1, **changes: Any) -> Candle:
    start = T0 - T0 % (60_000 * MS) + number * 60_000 * MS
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": start + 60_000 * MS, "ts_recv": start + 60_000 * MS,
        "timeframe": "1m", "open_time": start, "close_time": start + 60_000 * MS,
        "open": "37123.10", "high": "37200.00", "low": "37100.00", "close": "37123.40", "volume": "12.50000000", "closed": True,
    }  # fmt: skip
    return Candle(**{**fields, **changes})


def gap(first: int, last: int, state: str = "found", **changes: Any) -> Gap:
    fields: dict[str, Any] = {
        "venue": "binance", "symbol": "BTCUSDT", "ts_event": None, "ts_recv": T0 + last * MS, "channel": "trade", "state": state,
        "from_id": str(first), "to_id": str(last), "from_ts": T0 + first * MS, "to_ts": T0 + last * MS, "cause": "ids jumped",
    }  # fmt: skip
    return Gap(**{**fields, **changes})


def heartbeat(number: int = 1) -> Heartbeat:
    return Heartbeat("binance", "__system__", None, T0 + number * MS, "silent for 10 s")


def status(number: int = 1, state: LineState = "connected", symbol: str = "__system__") -> Status:
    return Status("binance", symbol, None, T0 + number * MS, state, "")


def one_of_each(number: int = 1) -> list[Event]:
    return [
        trade(number), quote(number), book(number), delta(number), candle(number), gap(number, number),
        heartbeat(number), status(number),
    ]  # fmt: skip
