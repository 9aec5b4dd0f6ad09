"""kill -9 at any moment: no torn line, no duplicate, nothing that was stored is gone, and the outage is repaired or said."""

import random
from pathlib import Path

import pytest

from marketd.sim.server import Sim, open_sim
from tests.daemons import eventually
from tests.scenarios.processes import Row, ledger, run_process, stored, written

SYMBOLS = ("BTCUSDT", "ETHUSDT")
VENUE = "binance"


def made(sim: Sim, symbol: str, rows: list[Row]) -> list[Row]:
    """The truth from the first to the last of these."""
    first, last = int(rows[0][0]), int(rows[-1][0])
    return [(one.trade_id, one.price, one.size) for one in sim.venue(VENUE).trades(symbol) if first <= int(one.trade_id) <= last]


def owed(data_dir: Path, symbol: str) -> set[int]:
    """Ids that the ledger does not call had: a line that has just begun may tell of a loss in the moment of the stop."""
    lost = [(first, last) for state, first, last in ledger(data_dir, VENUE, symbol) if state != "have"]
    return {one for first, last in lost for one in range(int(first or ""), int(last or "") + 1)}


async def kill_and_restart(tmp_path: Path, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    data_dir = tmp_path / "data"
    async with open_sim([VENUE, "bybit"], rate=600, seed=seed) as sim:
        for _ in range(kills):
            before = {symbol: stored(data_dir, VENUE, symbol) for symbol in SYMBOLS}
            async with run_process(sim.env(), data_dir) as daemon:
                fresh = dice.randint(1, 150)
                await eventually(
                    lambda known=before, more=fresh: len(stored(data_dir, VENUE, SYMBOLS[0])) > len(known[SYMBOLS[0]]) + more
                )
                accepted = {symbol: stored(data_dir, VENUE, symbol) for symbol in SYMBOLS}
                daemon.kill()
                await daemon.ended()
            for symbol in SYMBOLS:
                after = stored(data_dir, VENUE, symbol)

                assert set(before[symbol]) <= set(accepted[symbol]) <= set(after)
                assert len(after) == len({row[0] for row in after})
        async with run_process(sim.env(), data_dir) as daemon:
            held = {symbol: len(stored(data_dir, VENUE, symbol)) for symbol in SYMBOLS}
            await eventually(lambda: all(len(stored(data_dir, VENUE, one)) > held[one] + 50 for one in SYMBOLS))
            await eventually(
                lambda: (
                    not any(state in ("missing", "repairing") for one in SYMBOLS for state, *_ in ledger(data_dir, VENUE, one))
                )
            )

            assert await daemon.stop() == 0
        for symbol in SYMBOLS:
            rows, lines, late = stored(data_dir, VENUE, symbol), written(data_dir, VENUE, symbol), owed(data_dir, symbol)

            assert [row for row in made(sim, symbol, rows) if int(row[0]) not in late] == rows
            assert not {one for one in late if one <= int(accepted[symbol][-1][0])}
            assert len(lines) == len(set(lines))
            assert sorted(lines, key=lambda row: int(row[0])) == rows


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1])
async def test_three_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    await kill_and_restart(tmp_path, kills=3, seed=seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15])
async def test_fifty_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    await kill_and_restart(tmp_path, kills=10, seed=seed)


@pytest.mark.timeout(120)
async def test_a_gap_that_is_being_repaired_at_a_kill_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    data_dir, symbol = tmp_path / "data", SYMBOLS[0]

    def states() -> list[str]:
        return [state for state, *_ in ledger(data_dir, VENUE, symbol)]

    async with open_sim([VENUE, "bybit"], rate=300, seed=21) as sim:
        async with run_process(sim.env(), data_dir) as daemon:
            await eventually(lambda: len(stored(data_dir, VENUE, symbol)) > 20)
            sim.fault(VENUE, "refuse", on="rest", status=503)
            sim.fault(VENUE, "gap", symbol=symbol, channel="trade", count=5)
            await eventually(lambda: "repairing" in states())
            daemon.kill()
            await daemon.ended()
        reached = max(int(last or "") for _, _, last in ledger(data_dir, VENUE, symbol))
        assert "repairing" in states()
        sim.heal()
        async with run_process(sim.env(), data_dir) as daemon:
            held = len(stored(data_dir, VENUE, symbol))

            def is_whole() -> bool:  # a first answer of REST may be there before the line tells what else was missed
                rows = stored(data_dir, VENUE, symbol)
                return len(rows) > held + 50 and made(sim, symbol, rows) == rows

            await eventually(is_whole)
            await eventually(lambda: not {"missing", "repairing"} & set(states()))
            assert await daemon.stop() == 0
        rows, late = stored(data_dir, VENUE, symbol), owed(data_dir, symbol)

        assert [row for row in made(sim, symbol, rows) if int(row[0]) not in late] == rows
        assert not {one for one in late if one <= reached}
