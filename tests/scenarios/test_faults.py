"""Each fault on each venue: afterwards its stored trades, its books and its ledger are what docs/faults.md says of it.

The page is the table: its rows are what runs here. Half of the venues are struck, the other half must not notice, then the
other way round; both halves run at the same time, each in a simulation and a store of its own.
"""

import asyncio
from itertools import product
from pathlib import Path

import pytest

from tests.scenarios.faults import ALL, FAULTS, RETRY_AFTER_S, SIDES, Row, Seen, read_page, run

ROWS = read_page()
MANY = range(2, 22)


def test_the_page_has_a_row_for_each_fault_on_each_venue_and_each_row_is_run() -> None:
    assert sorted(product(FAULTS, ALL)) == sorted((row.fault, row.venue) for row in ROWS)
    assert [] == [row for row in ROWS if not row.happens]
    assert {("-",) * 3} == {(row.ledger, row.books, row.others) for row in ROWS if not row.applies}


def seeds() -> list[object]:
    few = [pytest.param(fault, 1, id=f"{fault}-1") for fault in FAULTS]
    return few + [pytest.param(fault, seed, id=f"{fault}-{seed}", marks=pytest.mark.soak) for fault in FAULTS for seed in MANY]


@pytest.mark.parametrize(("fault", "seed"), seeds())
async def test_after_a_fault_everything_is_as_the_page_says(fault: str, seed: int, tmp_path: Path) -> None:
    rows = {row.venue: row for row in ROWS if row.fault == fault and row.applies}
    wrong: list[str] = []

    async def strike(side: tuple[str, ...], data_dir: Path) -> None:
        struck = [name for name in side if name in rows]
        if struck:
            data_dir.mkdir()
            seen = await run(FAULTS[fault], struck, [name for name in struck if rows[name].books == "unseen"], seed, data_dir)
            for name, one in seen.items():
                wrong.extend(f"{name}: {word}" for word in (differs(one, rows[name]) if name in struck else stirred(one)))

    async with asyncio.TaskGroup() as group:
        for number, side in enumerate(SIDES):
            group.create_task(strike(side, tmp_path / str(number)))

    assert [] == wrong, (
        f"{fault}, seed {seed}; again: pytest -m 'soak or not soak' tests/scenarios/test_faults.py -k '{fault}-{seed}'"
    )


def differs(seen: Seen, row: Row) -> list[str]:
    """Where a venue that was struck is not as its row says."""
    found = [*seen.unfaithful(), *seen.asked.early(RETRY_AFTER_S)]
    stored = "all but what the ledger names" if seen.missing(seen.one) else "all"
    restarted = "-" if not seen.resyncs else "this one" if seen.resyncs[seen.one] else "none"
    if seen.missing(seen.other):
        found.append(f"{seen.other}: {len(seen.missing(seen.other))} trades missing")
    for what, is_so, claimed in (
        ("stored", stored, row.stored),
        ("the ledger says", seen.said(seen.one), row.ledger),
        ("books started over", restarted, restarted if row.books == "unseen" else row.books),
        (f"{seen.other} noticed", seen.noticed(seen.other), row.others),
    ):
        if is_so not in claimed.split(", or "):
            found.append(f"{what}: {is_so}; the page says: {claimed}; {seen.why(seen.one)}, {seen.why(seen.other)}")
    return found


def stirred(seen: Seen) -> list[str]:
    """What a venue that was not struck noticed."""
    found = [
        *seen.unfaithful(),
        *(f"{one}: {seen.noticed(one)}, {seen.why(one)}" for one in seen.here.symbols if seen.noticed(one) != "nothing"),
    ]
    found += [f"{one}: {len(seen.missing(one))} trades missing" for one in seen.here.symbols if seen.missing(one)]
    return [*found, *([f"{seen.reconnects} reconnects"] if seen.reconnects else [])]
