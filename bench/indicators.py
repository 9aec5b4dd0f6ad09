"""All indicators of 29 coins on three timeframes, 500 candles each, against the same calls of TA-Lib alone and pandas-ta."""

import importlib
import random
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import talib

from bench.rounds import Row, absolute, at_most, faster, interleave, not_measured
from marketd.analysis.closed import CANDLES, Candles, Closed
from marketd.analysis.scan import scan
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import analyse
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY

COINS, FRAMES = 29, ("5m", "1h", "4h")
STEPS = {"5m": 300, "1h": 3600, "4h": 14_400}
MS_TARGET = 13.0  # of TA-Lib, of all series, where it was first measured
PANDAS_TARGET = 80
CONFIG = AnalysisConfig()


def market(seed: int = 1) -> list[Closed]:
    chance, made = random.Random(seed), []
    for coin in range(COINS):
        for frame in FRAMES:
            price, rows = 10.0 ** chance.randint(-4, 4), []
            for _ in range(CANDLES):
                opened = price
                price *= 1 + chance.gauss(0, 0.005)
                high, low = max(opened, price) * (1 + 0.002 * chance.random()), min(opened, price) * (1 - 0.002 * chance.random())
                rows.append((opened, high, low, price, chance.random() * 1000))
            opens = [1_700_006_400_000_000_000 + number * STEPS[frame] * 10**9 for number in range(CANDLES)]
            series = CandleSeries("made", f"C{coin}USDT", frame)
            window = Candles(series, opens, np.array(rows).T.copy(), [f"{row[3]:.8f}" for row in rows]).window()
            assert isinstance(window, Closed)
            made.append(window)
    return made


def direct(closed: Closed) -> tuple[object, ...]:
    """The same figures by TA-Lib on the prices as they are, written down with nothing around: the last values as they come."""
    _, high, low, close, _ = closed.ohlcv
    ribbon = [talib.EMA(close, period) for period in (8, 13, 21, 34, 55)]
    upper, middle, _ = talib.BBANDS(close, 20, 2.0, 2.0)
    keltner = 1.5 * talib.SMA(talib.TRANGE(high, low, close), 20)
    squeezed = (upper - middle) < keltner
    centre = (talib.MAX(high, 20) + talib.MIN(low, 20)) / 2
    momentum = talib.LINEARREG(close - (centre + talib.SMA(close, 20)) / 2, 20)
    strength, k = talib.RSI(close, 14), talib.STOCHRSI(close, 14, 14, 3)[1]
    d = talib.SMA(k, 3)
    last = [float(one[-1]) for one in (*ribbon, upper, keltner, momentum, strength, k, d)]
    return (*last, *(float(one[-2]) for one in (*ribbon, momentum, k, d)), squeezed)


def direct_scan(closed: Closed) -> tuple[object, ...]:
    _, high, low, close, volume = closed.ohlcv
    size, bands = volume[-24:], talib.BBANDS(close, 20, 2.0, 2.0)
    day = int(np.searchsorted(closed.opens, closed.open_time - closed.open_time % DAY))
    today, typical = volume[day:], high + low + close
    vwaps = [float(typical[-24:] @ size / (3 * size.sum())), float(typical[day:] @ today / (3 * today.sum()))]
    return (*vwaps, float(talib.RSI(close, 14)[-1]), *(float(one[-1]) for one in bands))


def run() -> list[Row]:
    windows = market()
    scanned = [window for window in windows if window.series.timeframe == CONFIG.scanner_timeframe]

    def ours() -> None:
        for window in windows:
            analyse(window, CONFIG)
        for window in scanned:
            scan(window, CONFIG)

    def floor() -> None:
        for window in windows:
            direct(window)
        for window in scanned:
            direct_scan(window)

    sides: dict[str, Callable[[], object]] = {"ours": ours, "floor": floor}
    took = interleave(sides)
    path = f"indicators, {COINS} coins x {len(FRAMES)} timeframes x {CANDLES} candles"
    mine = sorted(took["ours"])[len(took["ours"]) // 2] * 1000
    rows = [
        at_most(path, took["ours"], "TA-Lib called directly", took["floor"], 1.2, "values with their words, signals, scores"),
        absolute(f"{path}: a full pass", f"{mine:.1f} ms", f"<= {1.2 * MS_TARGET:.1f} ms", reached=mine <= 1.2 * MS_TARGET),
    ]
    other, why = _pandas_ta()
    if other is None:
        return [*rows, not_measured(path, "pandas-ta", f">= {PANDAS_TARGET}x", why)]
    # Rounds of their own: after a second of it the caches hold nothing of ours, which two sides of milliseconds would tell of.
    took = interleave({"ours": ours, "pandas-ta": partial(_by_pandas_ta, other, windows)})
    return [*rows, faster(path, took["ours"], "pandas-ta", took["pandas-ta"], PANDAS_TARGET)]


def _pandas_ta() -> tuple[ModuleType | None, str]:
    try:
        return importlib.import_module("pandas_ta"), ""
    except Exception as error:
        return None, f"not installed: {error}"


def _by_pandas_ta(library: ModuleType, windows: list[Closed]) -> None:
    """The same figures by its own code: left alone it would hand the averages and bands to TA-Lib, which is the other side."""
    for closed in windows:
        frame = importlib.import_module("pandas").DataFrame(closed.ohlcv.T, columns=["open", "high", "low", "close", "volume"])
        high, low, close = frame["high"], frame["low"], frame["close"]
        for period in (8, 13, 21, 34, 55):
            library.ema(close, length=period, talib=False)
        library.squeeze(high, low, close, lazybear=True, talib=False)  # its name for momentum by linear regression
        library.stochrsi(close, talib=False)
        if closed.series.timeframe == CONFIG.scanner_timeframe:
            library.rsi(close, talib=False)
            library.bbands(close, length=20, talib=False)
