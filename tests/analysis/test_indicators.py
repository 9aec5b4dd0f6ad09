"""Every indicator against figures by hand and a plain reference, and what holds for all: scale, flat markets, no NaN."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.analysis.closed import Closed
from marketd.analysis.indicators import (
    Crossing,
    StochasticRsi,
    bollinger,
    day_start,
    relative,
    ribbon,
    rsi,
    squeeze,
    stochastic_rsi,
    vwap,
)
from marketd.analysis.scan import scan
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import analyse
from tests.analysis.candles import HOUR, T0, Made, closed, flat, walk
from tests.analysis.indicators_reference import everything

CONFIG = AnalysisConfig()


def ending(closes: Sequence[float], reach: float = 0.0, size: str = "1") -> Closed:
    """500 candles: the first close again and again, then these. Highs and lows lie `reach` around."""
    every = [closes[0]] * (500 - len(closes)) + list(closes)
    rows = []
    for number, close in enumerate(every):
        opened = every[max(number - 1, 0)]
        high, low = max(opened, close) + reach, min(opened, close) - reach
        rows.append(Made(T0 + number * HOUR, *(repr(one) for one in (opened, high, low, close)), size))
    return closed(rows)


def test_rsi_by_hand() -> None:
    # Period 3. Changes +1 -1 +2: gain (1+0+2)/3 = 1, loss 1/3. Then -1: gain 2/3, loss (2/9 + 1/3) = 5/9; 100 * 6/11.
    window = ending([10.0, 11.0, 10.0, 12.0, 11.0])
    found = rsi(relative(window).close[-5:], 3)

    assert found[3] == pytest.approx(75, rel=1e-12)
    assert found[4] == pytest.approx(600 / 11, rel=1e-12)


def test_bollinger_by_hand() -> None:
    # 2 4 4 4 5 5 7 9: mean 5, population deviation 2.
    found = bollinger(relative(ending([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])), 8, 2.0)

    assert (found.upper, found.middle, found.lower) == (9.0, 5.0, 1.0)
    assert (found.percent_b, found.bandwidth) == (1.0, 1.6)


def test_ribbon_by_hand() -> None:
    # Factors 1/2 (3) and 1/4 (7) from 10 on: 14 gives 12 and 11, 6 gives 9 and 9.75.
    up, down = ribbon(relative(ending([10.0, 14.0])), (3, 7)), ribbon(relative(ending([10.0, 14.0, 6.0])), (3, 7))

    assert (up.values, up.order, up.order_before) == ((12.0, 11.0), "up", "mixed")
    assert up.width == pytest.approx(100 / 14)
    assert up.crossings == (Crossing(3, 7, "up"),)
    assert (down.values, down.order, down.order_before) == ((9.0, 9.75), "down", "up")
    assert down.crossings == (Crossing(3, 7, "down"),)


def test_the_average_begins_with_the_plain_mean_of_its_first_closes() -> None:
    # Period 499: the mean of 1 ... 499 is 250, then 500 with factor 2/500.
    window = closed([Made(T0 + n * HOUR, *[str(n + 1)] * 4, "1") for n in range(500)])

    assert ribbon(relative(window), (499,)).values == (251.0,)


def test_squeeze_by_hand() -> None:
    # Closes swing between 9 and 11: deviation 1, bands 2 away. Highs and lows lie 1 beyond: true range 4, 1.5 * 4 = 6.
    swing = [9.0, 11.0] * 250
    found = squeeze(relative(ending(swing, reach=1.0)), 20, 2.0, 1.5)

    assert (found.on, found.candles, found.candles_before) == (True, 100, 0)
    assert (found.bollinger, found.keltner) == (pytest.approx(2), pytest.approx(6))
    # Middle 10 and mean 10: what is left is -1 +1 ... with a line that ends at 3/7 * 19/19: slope 6/133 a half step on.
    slope = sum((n - 9.5) * (1 if n % 2 else -1) for n in range(20)) / sum((n - 9.5) ** 2 for n in range(20))
    assert found.momentum == pytest.approx(slope * 9.5)
    assert found.momentum_before == pytest.approx(-slope * 9.5)


def test_a_squeeze_that_ends_says_how_long_it_was() -> None:
    swing = [9.0, 11.0] * 249
    found = squeeze(relative(ending([*swing, 9.0, 60.0], reach=1.0)), 20, 2.0, 1.5)

    assert (found.on, found.candles, found.candles_before) == (False, 1, 99)
    assert found.momentum is not None
    assert found.momentum > 0


def test_stochastic_rsi_by_hand() -> None:
    # A fall, then a rise: the RSI is at its highest, so all is 100.
    falling_then_rising = [100.0 - n for n in range(30)] + [72.0 + n for n in range(12)]
    found = stochastic_rsi(relative(ending(falling_then_rising)), 14, 14, 3, 3)

    assert (found.k, found.d) == (100.0, 100.0)


def test_vwap_by_hand() -> None:
    # Typical prices 10 and (14 + 10 + 12) / 3 = 12, sizes 1 and 3.
    rows = [*flat(499, "10", "1"), Made(T0 + 499 * HOUR, "10", "14", "10", "12", "3")]

    window = closed(rows)

    assert vwap(window, relative(window), -2) == pytest.approx(11.5, rel=1e-15)


def test_the_day_begins_at_midnight_utc() -> None:
    # 500 hours from midnight on: the last candle opens at 19:00 on day 21.
    assert day_start(closed(flat(500))) == 480
    at_midnight = [row._replace(open_time=row.open_time + 4 * HOUR) for row in flat(500)]
    assert day_start(closed(at_midnight)) == 476
    only_one = [row._replace(open_time=row.open_time + 5 * HOUR) for row in flat(500)]
    assert day_start(closed(only_one)) == 499


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("price", [1.5, 100.0, 60_000.0])
def test_a_walk_gives_what_the_formulas_give_in_decimals(seed: int, price: float) -> None:
    rows = walk(500, seed, price=price)
    window, wanted = closed(rows), everything(rows)
    seen, read = scan(window, CONFIG), analyse(window, CONFIG)
    assert read.ribbon is not None
    assert read.squeeze is not None
    assert read.stochastic_rsi is not None

    assert read.ribbon.values == pytest.approx([wanted[f"ema_{period}"] for period in CONFIG.ribbon], rel=1e-12)
    assert (seen.rsi, seen.vwap_day, seen.vwap_rolling) == pytest.approx(
        (wanted["rsi"], wanted["vwap_day"], wanted["vwap_rolling"]), rel=1e-11
    )
    assert (read.squeeze.momentum, read.stochastic_rsi.k, read.stochastic_rsi.d, seen.bollinger.bandwidth) == pytest.approx(
        (wanted["momentum"], wanted["k"], wanted["d"], wanted["bandwidth"]), rel=1e-9
    )
    assert read.squeeze.on == wanted["on"]


# --- what holds for all ---


def test_a_price_that_never_moved_has_no_strength_and_no_width() -> None:
    of = relative(closed(flat()))

    assert stochastic_rsi(of, 14, 14, 3, 3) == StochasticRsi()
    found = squeeze(of, 20, 2.0, 1.5)
    assert (found.on, found.bollinger, found.keltner, found.momentum) == (False, 0.0, 0.0, 0.0)


def test_a_price_that_stands_still_after_it_moved_gives_no_noise() -> None:
    """Mathematically its RSI stands still too: where it is in its range is nobody's to say."""
    rows = walk(500)
    still = [*rows[:440], *(Made(row.open_time, *[rows[439].close] * 4, "0") for row in rows[440:])]
    read = analyse(closed(still), CONFIG)
    assert read.stochastic_rsi is not None

    assert (read.stochastic_rsi.k, read.stochastic_rsi.d) == (None, None)
    assert read.stochastic_rsi.rsi == pytest.approx(scan(closed(rows[:440] + still[440:]), CONFIG).rsi)
    assert read.signals == ()


@given(st.integers(0, 10**6), st.integers(-12, 12))
def test_prices_in_another_unit_give_the_same_ratios(seed: int, power: int) -> None:
    """A coin at 0.00001 is read as it would be at 100,000: no figure depends on the unit of the price."""
    rows = walk(500, seed, price=1000.0)
    scaled = [row._replace(**{name: f"{row[at]}e{power}" for at, name in enumerate(Made._fields) if 0 < at < 5}) for row in rows]
    one, other, factor = analyse(closed(rows), CONFIG), analyse(closed(scaled), CONFIG), 10.0**power
    a, b = scan(closed(rows), CONFIG), scan(closed(scaled), CONFIG)
    assert one.ribbon is not None
    assert other.ribbon is not None
    assert one.squeeze is not None
    assert other.squeeze is not None
    assert a.bollinger.upper is not None

    assert other.stochastic_rsi is not None
    assert msgspec.to_builtins(other.stochastic_rsi) == pytest.approx(msgspec.to_builtins(one.stochastic_rsi), rel=1e-9, abs=1e-9)
    assert (b.rsi, b.score, b.bollinger.percent_b) == pytest.approx((a.rsi, a.score, a.bollinger.percent_b), rel=1e-9)
    assert (other.ribbon.order, other.squeeze.on, other.squeeze.candles) == (
        one.ribbon.order,
        one.squeeze.on,
        one.squeeze.candles,
    )
    assert b.bollinger.upper == pytest.approx(a.bollinger.upper * factor, rel=1e-12)
    assert [signal.rule for signal in other.signals] == [signal.rule for signal in one.signals]


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**6)), min_size=1, max_size=40),
    st.sampled_from(["1e-8", "1", "1e12"]),
    st.integers(3, 60),
)
def test_no_number_leaves_that_is_none(steps: list[tuple[int, int]], unit: str, period: int) -> None:
    rows = []
    for number in range(500):
        price, size = steps[number % len(steps)]
        rows.append(Made(T0 + number * HOUR, *[f"{price}{unit[1:]}"] * 4, str(size)))
    config = AnalysisConfig(rsi_period=period, squeeze_period=period, bollinger_period=period, stochastic_rsi_period=period)
    seen, read = scan(closed(rows), config), analyse(closed(rows), config)

    assert msgspec.json.decode(msgspec.json.encode(seen), type=type(seen)) == seen
    assert msgspec.json.decode(msgspec.json.encode(read), type=type(read)) == read
    assert seen.score is None or 0 <= seen.score <= 100


def test_periods_that_500_candles_cannot_fill_are_null_and_not_zero() -> None:
    window = closed(walk(500))
    long = AnalysisConfig(ribbon=(8, 499), rsi_period=499, bollinger_period=500, stochastic_rsi_period=200, stochastic_period=200)
    read, seen = analyse(window, long), scan(window, long)
    assert read.ribbon is not None
    assert read.stochastic_rsi is not None

    assert seen.rsi is not None
    assert seen.bollinger.upper is not None
    assert read.stochastic_rsi.k is not None
    assert read.ribbon.values[0] is not None
    shorter = relative(window)._replace(close=relative(window).close[-100:])
    assert ribbon(shorter, (8, 100, 101)).values[2] is None
    assert ribbon(shorter, (8, 100, 101)).order is None
    assert bollinger(shorter, 101, 2.0).upper is None
    assert stochastic_rsi(shorter, 99, 14, 3, 3).k is None
    assert squeeze(shorter._replace(close=shorter.close[:30]), 20, 2.0, 1.5).on is None
