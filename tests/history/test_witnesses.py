"""Who can say what a candle was, and of which time."""

from pathlib import Path

import pytest

from marketd.candles.build import built
from marketd.clock import ManualClock
from marketd.errors import ConfigError, Refused
from marketd.history.witnesses import RestWitness, SmallerWitness, StoreWitness, TradesWitness
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE
from marketd.stores.ledger import Row as Held
from tests.history.desks import driven, rooms
from tests.samples import trade

M1 = CandleSeries("binance", "BTCUSDT", "1m")
START = 1_700_006_400 * 10**9


async def test_rest_calls_a_candle_closed_when_it_has_a_later_one(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        now = clock.now_ns() // MINUTE * MINUTE
        witness = RestWitness(here.desk, clock)
        past = await driven(clock, witness.candles(M1, Interval(now - DAY, now - DAY + 10 * MINUTE)))
        running = await driven(clock, witness.candles(M1, Interval(now - 2 * MINUTE, now + MINUTE)))

        assert {True} == {row.closed for row in past.rows}
        assert [(now - DAY, now - DAY + 10 * MINUTE)] == past.said
        assert [True, True, False] == [row.closed for row in running.rows]


async def test_rest_says_nothing_of_what_it_no_longer_serves(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("kraken", clock, tmp_path) as here:
        now = clock.now_ns() // MINUTE * MINUTE
        witness, series = RestWitness(here.desk, clock), CandleSeries("kraken", "BTCUSD", "1m")
        old = await driven(clock, witness.candles(series, Interval(now - DAY, now - DAY + HOUR)))
        reaching = await driven(clock, witness.candles(series, Interval(now - 13 * HOUR, now)))

        assert ([], []) == (list(old.rows), old.said)
        assert [(now - 718 * MINUTE, now)] == reaching.said


async def test_rest_that_does_not_have_the_series_says_so(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        witness = RestWitness(here.desk, clock)
        with pytest.raises(ConfigError, match="does not list 'NOPE'"):
            await witness.candles(M1._replace(symbol="NOPE"), Interval(START, START + MINUTE))
        with pytest.raises(ConfigError, match="has no '7m' candles"):
            await witness.candles(M1._replace(timeframe="7m"), Interval(START, START + MINUTE))


async def test_rest_is_asked_again_before_it_is_given_up(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        witness, span = RestWitness(here.desk, clock), Interval(START, START + 5 * MINUTE)
        await driven(clock, witness.candles(M1, span))
        here.sim.fault(None, "error500", count=2)
        answered = await driven(clock, witness.candles(M1, span))
        here.sim.fault(None, "error500", count=1000)
        with pytest.raises(Refused, match="500"):
            await driven(clock, witness.candles(M1, span), step_s=10.0)

        assert [(START, START + 5 * MINUTE)] == answered.said


def held(start: int, stop: int, state: str = "have", proof: str = "ids") -> Held:
    seconds = START + start * 10**9, START + stop * 10**9
    return Held(1, "binance", "BTCUSDT", "trade", state, proof, None, None, *seconds, None, 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([held(0, 180)], [(0, 3)]),
        ([held(1, 180)], [(1, 3)]),
        ([held(0, 179)], [(0, 2)]),
        ([held(0, 65), held(70, 180)], [(0, 1), (2, 3)]),
        ([held(0, 65), held(70, 180, "missing")], [(0, 1)]),
        ([held(0, 180, proof="none")], []),
        ([], []),
    ],
)
async def test_trades_speak_of_candles_whose_trades_are_all_held(rows: list[Held], said: list[tuple[int, int]]) -> None:
    trades = [trade(second, ts_event=START + second * 10**9, price=str(second)) for second in (0, 59, 61, 130)]
    witness = TradesWitness(
        built, lambda series, span: [one for one in trades if span.start <= (one.ts_event or 0) < span.stop], lambda series: rows
    )
    found = await witness.candles(M1, Interval(START, START + 3 * MINUTE))

    assert [(START + a * MINUTE, START + b * MINUTE) for a, b in said] == found.said
    assert all(row.closed for row in found.rows)
    assert [at for at in (0, 1, 2) if any(a <= at < b for a, b in said)] == [
        (row.open_time - START) // MINUTE for row in found.rows
    ]


async def test_smaller_candles_are_the_largest_that_fit(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        empty = Interval(START, START + HOUR)
        await here.archive.settle(M1._replace(timeframe="5m"), [Stretch(*empty, "known_empty", "no trades", 1)])
        stored = [M1, M1._replace(timeframe="5m"), M1._replace(symbol="ETHUSDT", timeframe="15m")]
        found = await SmallerWitness(here.archive, stored, clock).candles(
            M1._replace(timeframe="15m"), Interval(START, START + 2 * HOUR)
        )

        assert [empty] == found.said
        assert [] == list(found.rows)
        assert ([], []) == await SmallerWitness(here.archive, stored, clock).candles(M1, empty)


async def test_another_store_speaks_of_what_its_ledger_has(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        parts = [Stretch(START, START + MINUTE, "known_empty", "", 1), Stretch(START + MINUTE, START + HOUR, "missing", "", 1)]
        await here.archive.settle(M1, parts)
        found = await StoreWitness(here.archive).candles(M1, Interval(START, START + HOUR))

        assert [(START, START + MINUTE)] == found.said
