"""The floor of each frame: msgspec's typed decode straight into gc-free structs with text fields, and nothing else."""

from collections.abc import Callable
from typing import Any

import msgspec

Level = tuple[str, str]


def _struct(name: str, fields: list[tuple[str, Any]]) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, fields, gc=False)


def _in_data(name: str, fields: list[tuple[str, Any]], many: bool = False) -> Callable[[bytes], object]:
    inner = _struct(name, fields)
    return msgspec.json.Decoder(_struct(f"{name}Frame", [("data", list[inner] if many else inner)])).decode  # type: ignore[valid-type]


FLOORS: dict[tuple[str, str], Callable[[bytes], object]] = {
    ("binance", "trade"): _in_data("BT", [("s", str), ("t", int), ("p", str), ("q", str), ("T", int), ("m", bool)]),
    ("binance", "quote"): _in_data("BQ", [("u", int), ("s", str), ("b", str), ("B", str), ("a", str), ("A", str)]),
    ("binance", "depth"): _in_data(
        "BD", [("E", int), ("s", str), ("U", int), ("u", int), ("b", list[Level]), ("a", list[Level])]
    ),
    ("bybit", "trade"): _in_data("YT", [("T", int), ("s", str), ("S", str), ("v", str), ("p", str), ("i", str)], many=True),
    ("bybit", "depth"): _in_data("YD", [("s", str), ("b", list[Level]), ("a", list[Level]), ("u", int)]),
    ("coinbase", "trade"): msgspec.json.Decoder(
        _struct("CT", [("trade_id", int), ("side", str), ("size", str), ("price", str), ("product_id", str), ("time", str)])
    ).decode,
    ("coinbase", "depth"): msgspec.json.Decoder(
        _struct("CD", [("product_id", str), ("changes", list[tuple[str, str, str]]), ("time", str)])
    ).decode,
    ("bitfinex", "trade"): msgspec.json.Decoder(list, float_hook=str).decode,
    ("alpaca", "trade"): msgspec.json.Decoder(
        list[_struct("AT", [("T", str), ("S", str), ("i", int), ("x", str), ("p", Any), ("s", Any), ("t", str)])],  # type: ignore[misc]
        float_hook=str,
    ).decode,
    ("kraken", "trade"): msgspec.json.Decoder(
        _struct(
            "KTFrame",
            [
                ("channel", str),
                (
                    "data",
                    list[  # type: ignore[misc]
                        _struct(
                            "KT",
                            [("symbol", str), ("side", str), ("price", Any), ("qty", Any), ("trade_id", int), ("timestamp", str)],
                        )
                    ],
                ),
            ],
        ),
        float_hook=str,
    ).decode,
}
