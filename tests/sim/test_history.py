"""The past of a simulated market."""

from hypothesis import given
from hypothesis import strategies as st

from marketd.sim.history import GRID_MS, HOUR_MS, LISTED_MS, TRADES_PER_HOUR, Bar, History, Path
from marketd.sim.symbols import list_symbol

HOURS = st.integers(LISTED_MS // HOUR_MS, LISTED_MS // HOUR_MS + 30_000)
LISTING = list_symbol("BTCUSDT")


def build(seed: int = 1) -> History:
    return History(seed, "binance", LISTING, Path(seed, "BTC", LISTING.start_ticks), 0, 0)


@given(HOURS)
def test_an_hour_is_always_the_same(hour: int) -> None:
    one, other = build(), build()

    assert [one.trades(hour).at(i) for i in range(120)] == [other.trades(hour).at(i) for i in range(120)]


@given(HOURS)
def test_trades_are_numbered_without_a_hole_in_order_of_time(hour: int) -> None:
    made, following = build().trades(hour), build().trades(hour + 1)

    assert list(range(made.numbers[0], made.numbers[0] + TRADES_PER_HOUR)) == list(made.numbers)
    assert made.numbers[-1] + 1 == following.numbers[0]
    assert sorted(made.times) == list(made.times)
    assert hour * HOUR_MS <= made.times[0] <= made.times[-1] < (hour + 1) * HOUR_MS


@given(HOURS)
def test_the_hour_is_the_sum_of_its_minutes(hour: int) -> None:
    history = build()
    total: Bar | None = None
    for bar in history.minute_bars(hour).values():
        if total is None:
            total = bar.copy()
        else:
            total.join(bar)
    whole = history.hour_bar(hour)

    assert total is not None
    assert whole is not None
    assert {name: getattr(total, name) for name in Bar.__slots__} == {name: getattr(whole, name) for name in Bar.__slots__}


def test_some_minutes_have_no_trade() -> None:
    hour = LISTED_MS // HOUR_MS + 5000

    assert 30 < len(build().minute_bars(hour)) < 60


@given(HOURS)
def test_the_path_of_an_hour_is_the_path_at_each_point(hour: int) -> None:
    path = Path(1, "BTC", LISTING.start_ticks)
    start = hour * HOUR_MS

    assert [path.ticks(start + i * GRID_MS) for i in range(13)] == path.hour(start)


def test_another_seed_is_another_past() -> None:
    hour = LISTED_MS // HOUR_MS

    assert build(1).trades(hour).ticks != build(2).trades(hour).ticks


def test_there_is_nothing_before_the_listing() -> None:
    assert len(build().trades(LISTED_MS // HOUR_MS - 1)) == 0


@given(HOURS, st.integers(0, HOUR_MS - 1))
def test_number_at_finds_the_first_trade_not_before_a_time(hour: int, into: int) -> None:
    history = build()
    ts_ms = hour * HOUR_MS + into
    made = history.trades(hour)
    later = [n for n, t in zip(made.numbers, made.times, strict=True) if t >= ts_ms]

    assert (later[0] if later else made.numbers[-1] + 1) == history.number_at(ts_ms)
