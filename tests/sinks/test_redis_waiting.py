from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketd.errors import Declined
from marketd.metrics import Metrics
from marketd.model.events import Trade
from marketd.sinks.redis_waiting import WaitingRooms
from marketd.sinks.spill import GIB, MIB
from tests.samples import trade

DROPPED = {"consumer": "redis", "reason": "spill_full", "type": "trade"}


def some(first: int, last: int, symbol: str = "BTCUSDT") -> list[Trade]:
    return [trade(number, symbol=symbol) for number in range(first, last + 1)]


def rooms_in(directory: Path, limit_bytes: int = GIB, metrics: Metrics | None = None) -> WaitingRooms:
    rooms = WaitingRooms(directory, limit_bytes, metrics)
    rooms.open()
    return rooms


def emptied(rooms: WaitingRooms, symbol: str = "BTCUSDT") -> list[int]:
    found: list[int] = []
    while chunk := rooms[symbol].chunk():
        assert chunk == rooms[symbol].chunk()
        found += [int(one.trade_id) for one in chunk]
        rooms[symbol].commit()
    rooms.over(symbol)
    return found


def test_each_pair_waits_for_itself_and_in_order(tmp_path: Path) -> None:
    rooms = rooms_in(tmp_path)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        rooms.stuck(symbol, "holds a string")
        rooms.hold(some(1, 3000, symbol))
    said = rooms.reason
    rooms.hold(some(3001, 3010))

    assert "trades:BTCUSDT holds a string; 3,000 trades of it wait; and 1 more such streams" == said
    assert list(range(1, 3011)) == emptied(rooms)
    assert ["ETHUSDT"] == list(rooms)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "..", "A/B", "É:1", "x.pair"])
def test_what_an_earlier_run_left_is_found_whatever_the_symbol(tmp_path: Path, symbol: str) -> None:
    rooms = rooms_in(tmp_path / "held")
    rooms.stuck(symbol, "holds a string")
    rooms.hold(some(1, 5, symbol))
    rooms[symbol].chunk()  # taken and not written
    rooms.close()
    again = rooms_in(tmp_path / "held")

    assert ([symbol], None) == (list(again), again.reason)
    assert [1, 2, 3, 4, 5] == emptied(again, symbol)
    assert [] == list((tmp_path / "held").iterdir())
    assert ["held"] == [path.name for path in tmp_path.iterdir()]


def test_what_finds_no_room_on_disk_is_counted_and_said_once(tmp_path: Path) -> None:
    metrics = Metrics()
    rooms = rooms_in(tmp_path, limit_bytes=4000, metrics=metrics)
    rooms.stuck("BTCUSDT", "holds a string")
    rooms.stuck("ETHUSDT", "holds a string")
    with capture_logs() as lines:
        for first in range(1, 101, 10):
            rooms.hold(some(first, first + 9))
        rooms.hold(some(1, 25, "ETHUSDT"))
        rooms.hold(some(26, 50, "ETHUSDT"))
    dropped = metrics.registry.get_sample_value("events_dropped_total", DROPPED)
    kept, others = emptied(rooms), emptied(rooms, "ETHUSDT")

    assert list(range(1, len(kept) + 1)) == kept
    assert 10 < len(kept) < 60
    assert dropped == 150 - len(kept) - len(others)
    assert len(others) <= 25
    assert ["redis.held_full"] == [line["event"] for line in lines if line["log_level"] == "error"]


def test_a_directory_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rooms = rooms_in(tmp_path / "file" / "held")
    with pytest.raises(Declined, match=r"trades:BTCUSDT cannot be written and its trades cannot wait: cannot use .*"):
        rooms.stuck("BTCUSDT", "holds a string")

    assert not rooms


def test_a_disk_that_does_not_give_back_what_waits_is_said(tmp_path: Path) -> None:
    rooms = rooms_in(tmp_path)
    rooms.stuck("BTCUSDT", "holds a string")
    rooms.hold(some(1, 5))
    for path in tmp_path.rglob("*.jsonl"):
        path.unlink()
    with pytest.raises(Declined, match=r"trades:BTCUSDT can be written, but .* cannot be read"):
        rooms["BTCUSDT"].chunk()

    assert rooms.reason is not None
    assert "cannot be read" in rooms.reason


@given(st.lists(st.one_of(st.integers(1, 30), st.none()), max_size=20), st.sampled_from([1000, 5000, MIB]))
def test_whatever_comes_and_goes_the_order_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | None], limit: int
) -> None:
    """A number: so many come; None: a chunk goes."""
    metrics = Metrics()
    rooms = rooms_in(tmp_path_factory.mktemp("held"), limit_bytes=limit, metrics=metrics)
    rooms.stuck("BTCUSDT", "holds a string")
    came, gone = 0, []
    for step in steps:
        if step is None:
            gone += [int(one.trade_id) for one in rooms["BTCUSDT"].chunk()]
            rooms["BTCUSDT"].commit()
        else:
            rooms.hold(some(came + 1, came + step))
            came += step

    found = gone + emptied(rooms)
    dropped = metrics.registry.get_sample_value("events_dropped_total", DROPPED) or 0

    assert sorted(set(found)) == found
    assert came == len(found) + dropped
    assert limit < MIB or dropped == 0
