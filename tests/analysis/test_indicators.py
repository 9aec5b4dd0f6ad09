"""Every indicator against figures by hand and a plain reference, and what holds for all: scale, flat markets, no NaN."""

import numpy as np
import talib

from marketd.analysis.indicators import relative, ribbon
from tests.analysis.candles import closed, walk


def test_the_ribbon_is_ta_libs_average_of_the_500_closes() -> None:
    window = closed(walk(700))
    found = ribbon(relative(window), (8, 13, 21, 34, 55))
    direct = [talib.EMA(window.ohlcv[3], period)[-1] for period in found.periods]

    assert np.allclose(np.array(found.values, dtype=float), direct, rtol=1e-12, atol=0)
