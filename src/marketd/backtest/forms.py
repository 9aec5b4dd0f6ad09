"""A back-test's result as JSON and as CSV: every figure, money exact as text."""

import csv
from typing import Any

import msgspec

from marketd.backtest.result import Result, Trade
from marketd.model.exact import plain
from marketd.model.paper import EquityPoint
from marketd.model.times import iso_of_ns

COLUMNS = (
    "symbol", "direction", "rule", "size", "opened", "entry", "closed", "exit", "why", "fees", "profit", "profit_percent",
    "candles", "score", "rank", "reasons",
)  # fmt: skip


def json_text(result: Result) -> str:
    """One object. Times are ISO 8601; prices, sizes and money are text, shares and scores numbers."""
    shown = msgspec.to_builtins(result) | {
        "start": iso_of_ns(result.start),
        "end": iso_of_ns(result.end),
        "trades": [_trade(one) for one in result.trades],
        "equity_curve": [_point(one) for one in result.points],
        "coins": [
            msgspec.to_builtins(coin)
            | {
                "profit": plain(coin.profit),
                "fees": plain(coin.fees),
                "holes": [
                    {"from": iso_of_ns(one.start), "to": iso_of_ns(one.stop), "candles": one.candles} for one in coin.holes
                ],
            }
            for coin in result.coins
        ],
        "rules": [msgspec.to_builtins(one) | {"profit": plain(one.profit)} for one in result.rules],
        "drawdown": msgspec.to_builtins(result.drawdown)
        | {"amount": plain(result.drawdown.amount)}
        | {name: _time(getattr(result.drawdown, name)) for name in ("start", "bottom", "recovered")},
        **{name: plain(getattr(result, name)) for name in ("cash", "equity", "profit", "fees")},
    }
    del shown["points"]
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n"


def csv_text(result: Result) -> str:
    """The trades, one a line."""
    lines: list[str] = []

    class Lines:
        write = lines.append

    writer = csv.DictWriter(Lines, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_trade(one) for one in result.trades)
    return "".join(lines)


def _trade(one: Trade) -> dict[str, Any]:
    """By the names of `COLUMNS`; None where there is none, also the price at which an open one was closed."""
    return {name: getattr(one, name) for name in COLUMNS} | {
        "opened": iso_of_ns(one.opened),
        "closed": _time(one.closed),
        "size": plain(one.size),
        "entry": plain(one.entry),
        "exit": None if one.exit is None or one.is_open else plain(one.exit),
        "fees": plain(one.fees),
        "profit": plain(one.profit),
    }


def _point(one: EquityPoint) -> dict[str, Any]:
    return {"time": iso_of_ns(one.ts), "equity": plain(one.equity), "cash": plain(one.cash), "open": one.open}


def _time(ts: int | None) -> str | None:
    return None if ts is None else iso_of_ns(ts)
