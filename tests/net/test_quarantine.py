"""Impossible values kept aside: whole lines, bounded, and never in the way."""

import json
from pathlib import Path

import pytest

from marketd.net import quarantine as quarantine_file
from marketd.net.quarantine import Quarantine


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_was_kept_is_written_with_its_frame(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    quarantine.keep(7, "binance", "BTCUSDT", "price is zero", b'{"p":"0"}')
    quarantine.write()

    expected = {"ts": 7, "venue": "binance", "symbol": "BTCUSDT", "reason": "price is zero", "frame": '{"p":"0"}'}
    assert [expected] == lines_of(quarantine.path)


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    Quarantine(tmp_path / "quarantine.jsonl").write()

    assert [] == list(tmp_path.iterdir())


def test_a_frame_that_is_no_text_is_kept_as_far_as_it_can_be(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    quarantine.keep(7, "binance", "BTCUSDT", "odd", b"\xff{")
    quarantine.write()

    assert "�{" == lines_of(quarantine.path)[0]["frame"]


def test_a_full_file_makes_room_and_two_are_the_most(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.jsonl", bytes_max=200)
    for number in range(20):
        quarantine.keep(number, "binance", "BTCUSDT", "odd", b"x" * 50)
        quarantine.write()

    assert ["quarantine.jsonl", "quarantine.jsonl.1"] == sorted(path.name for path in tmp_path.iterdir())
    assert 19 == lines_of(quarantine.path)[-1]["ts"]
    assert all(path.stat().st_size < 400 for path in tmp_path.iterdir())


def test_too_much_at_once_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_file, "WAITING_BYTES_MAX", 300)
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    for number in range(10):
        quarantine.keep(number, "binance", "BTCUSDT", "odd", b"x" * 50)

    assert quarantine.kept + quarantine.dropped == 10
    assert quarantine.dropped > 0


def test_a_disk_that_fails_is_said_and_what_was_lost_counted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "missing" / "quarantine.jsonl")
    quarantine.keep(7, "binance", "BTCUSDT", "odd", b"{}")

    with pytest.raises(OSError, match="missing"):
        quarantine.write()
    assert 1 == quarantine.dropped
    assert not quarantine.is_waiting
