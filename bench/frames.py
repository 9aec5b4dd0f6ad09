"""Frames for the benchmarks: the venues' shapes with invented numbers, the same in every run."""

import random
from collections.abc import Callable

COUNT = 2000  # in the time of 40 s
LEVELS = 20  # a side


def _many(seed: str, make: Callable[[random.Random, int], str]) -> list[bytes]:
    dice = random.Random(seed)
    return [make(dice, index).encode() for index in range(COUNT)]


def _price(dice: random.Random, digits: int = 8) -> str:
    return f"{dice.randint(58_000_00, 64_000_00) / 100:.{digits}f}"


def _size(dice: random.Random, digits: int = 8) -> str:
    return f"{dice.randint(1, 9_999_999) / 100_000:.{digits}f}"


def _levels(dice: random.Random, side: int, digits: int = 8) -> str:
    """Twenty levels within a few hundred ticks of the touch, as a real book changes: a third of them go."""
    places = dice.sample(range(1, 300), LEVELS)
    return ",".join(f'["{60_000 - side * place / 100:.{digits}f}","{_changed(dice, digits)}"]' for place in places)


def _changed(dice: random.Random, digits: int) -> str:
    return f"{0:.{digits}f}" if dice.random() < 1 / 3 else _size(dice, digits)


def frames() -> dict[tuple[str, str], list[bytes]]:
    """By venue and what they say."""
    ms = 1_722_900_000_000
    return {
        ("binance", "trade"): _many(
            "bt",
            lambda d, i: (
                f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms + i},"s":"BTCUSDT","t":{3_735_683_000 + i},'
                f'"p":"{_price(d)}","q":"{_size(d)}","T":{ms + i},"m":{d.choice(["true", "false"])},"M":true}}}}'
            ),
        ),
        ("binance", "quote"): _many(
            "bq",
            lambda d, i: (
                f'{{"stream":"btcusdt@bookTicker","data":{{"u":{50_093_239_000 + i},"s":"BTCUSDT","b":"{_price(d)}",'
                f'"B":"{_size(d)}","a":"{_price(d)}","A":"{_size(d)}"}}}}'
            ),
        ),
        ("binance", "depth"): _many(
            "bd",
            lambda d, i: (
                f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms + i},"s":"BTCUSDT","U":{10 * i + 1},'
                f'"u":{10 * i + 10},"b":[{_levels(d, 1)}],"a":[{_levels(d, -1)}]}}}}'
            ),
        ),
        ("bybit", "trade"): _many(
            "yt",
            lambda d, i: (
                '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":%d,"data":[%s]}'
                % (
                    ms + i,
                    ",".join(
                        f'{{"T":{ms + i},"s":"BTCUSDT","S":"{d.choice(["Buy", "Sell"])}","v":"{_size(d, 6)}","p":"{_price(d, 2)}",'
                        f'"L":"PlusTick","i":"22900000{i:08d}{n}","BT":false,"RPI":false,"seq":{91_000_000_000 + i}}}'
                        for n in range(3)
                    ),
                )
            ),
        ),
        ("bybit", "depth"): _many(
            "yd",
            lambda d, i: (
                f'{{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":{ms + i},"data":{{"s":"BTCUSDT",'
                f'"b":[{_levels(d, 1, 2)}],"a":[{_levels(d, -1, 2)}],"u":{100 + i},"seq":{91_000_000_000 + i}}},"cts":{ms + i - 3}}}'
            ),
        ),
        ("coinbase", "trade"): _many(
            "ct",
            lambda d, i: (
                f'{{"type":"match","trade_id":{812_345_000 + i},"maker_order_id":"4b0f0000-0000-4000-8000-{i:012d}",'
                f'"taker_order_id":"5c0f0000-0000-4000-8000-{i:012d}","side":"{d.choice(["buy", "sell"])}","size":"{_size(d)}",'
                f'"price":"{_price(d, 2)}","product_id":"BTC-USD","sequence":{60_000_000_000 + i},"time":"2024-08-06T00:00:{i // 50 % 60:02d}.{i % 50 * 20_000:06d}Z"}}'
            ),
        ),
        ("coinbase", "depth"): _many(
            "cd",
            lambda d, i: (
                '{"type":"l2update","product_id":"BTC-USD","changes":[%s],"time":"2024-08-06T00:00:%02d.%06dZ"}'
                % (
                    ",".join(
                        f'["{name}","{60_000 - side * place / 100:.2f}","{_changed(d, 8)}"]'
                        for name, side in (("buy", 1), ("sell", -1))
                        for place in d.sample(range(1, 300), LEVELS)
                    ),
                    i // 50 % 60,
                    i % 50 * 20_000,
                )
            ),
        ),
        ("bitfinex", "trade"): _many(
            "ft",
            lambda d, i: (
                f'[19111,"te",[{1_600_000_000 + i},{ms + i},{d.choice("-+").strip("+")}{_size(d, 5)},{_price(d, 1)}],{i + 1},{ms + i}]'
            ),
        ),
        ("alpaca", "trade"): _many(
            "at",
            lambda d, i: (
                f'[{{"T":"t","S":"AAPL","i":{52_000 + i},"x":"V","p":{d.randint(18000, 19000) / 100},"s":{d.randint(1, 400)},'
                f'"c":["@","I"],"z":"C","t":"2026-03-02T14:30:{i // 50 % 60:02d}.{i % 50 * 20_000_123:09d}Z"}}]'
            ),
        ),
        ("kraken", "trade"): _many(
            "kt",
            lambda d, i: (
                f'{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","side":"{d.choice(["buy", "sell"])}",'
                f'"price":{_price(d, 1)},"qty":{_size(d)},"ord_type":"limit","trade_id":{71_234_000 + i},'
                f'"timestamp":"2026-03-02T14:30:{i // 50 % 60:02d}.{i % 50 * 20_000:06d}Z"}}]}}'
            ),
        ),
    }
