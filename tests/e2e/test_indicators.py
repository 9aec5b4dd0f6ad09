"""The dashboard's indicators are those of the analysis: the same candles, the same figures."""

import json
import subprocess
from pathlib import Path

import pytest

from marketd.analysis.closed import CANDLES, VOLUME, Closed
from marketd.analysis.indicators import bollinger, day_start, relative, ribbon, squeeze, stochastic_rsi, vwap
from tests.analysis.candles import closed, walk

WEB = Path(__file__).resolve().parent.parent.parent / "web"
ASK = """
import { readFileSync } from "node:fs";
import { bollinger, ema, RIBBON, squeeze, stochasticRsi, vwap } from "./build/web/src/charts/indicators.js";
const bars = JSON.parse(readFileSync(0, "utf8"));
const closes = bars.map((bar) => bar.close);
const last = (line) => line.at(-1);
const bands = bollinger(closes), ttm = squeeze(bars), stochastic = stochasticRsi(closes);
console.log(JSON.stringify({
  ribbon: RIBBON.map((n) => last(ema(closes, n))), upper: last(bands.upper), middle: last(bands.middle), lower: last(bands.lower),
  vwap: last(vwap(bars)), on: last(ttm.on), momentum: last(ttm.momentum), k: last(stochastic.k), d: last(stochastic.d),
}));
"""


pytestmark = pytest.mark.usefixtures("built")


def of_page(window: Closed) -> dict[str, float]:
    names = ("open", "high", "low", "close", "volume")
    bars = [
        {"time": int(window.opens[at]) // 10**9, **{name: float(window.ohlcv[row, at]) for row, name in enumerate(names)}}
        for at in range(CANDLES)
    ]
    command = ["node", "--input-type=module", "--eval", ASK]
    ran = subprocess.run(command, cwd=WEB, input=json.dumps(bars), capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    found: dict[str, float] = json.loads(ran.stdout)
    return found


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_page_computes_what_the_daemon_does(seed: int) -> None:
    window = closed(walk(CANDLES, seed))
    of, page = relative(window), of_page(window)
    bands, ttm, stochastic = bollinger(of, 20, 2.0), squeeze(of, 20, 2.0, 1.5), stochastic_rsi(of, 14, 14, 3, 3)
    start = day_start(window)
    assert start is not None
    assert window.ohlcv[VOLUME].any()
    ours = {
        "ribbon": list(ribbon(of, (8, 13, 21, 34, 55)).values), "vwap": vwap(window, of, start), "on": ttm.on,
        "upper": bands.upper, "middle": bands.middle, "lower": bands.lower, "k": stochastic.k, "d": stochastic.d,
    }  # fmt: skip

    assert page.pop("momentum") == pytest.approx(ttm.momentum, rel=1e-6, abs=1e-6)
    assert page == {name: pytest.approx(value, rel=1e-9) for name, value in ours.items()}
