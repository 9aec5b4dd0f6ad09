"""JSON lines on disk."""

from pathlib import Path

import pytest
import zstandard

from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.model.events import BookDelta, BookSnapshot, Event, Share
from marketd.model.marks import Mark
from marketd.model.wire import decode_lines, encode_lines
from marketd.sinks.jsonl import JsonLines, JsonLinesConfig
from tests.samples import T0, one_of_each, quote, trade, trades


def everything(directory: Path) -> list[Event]:
    """What all files hold, in order."""
    events: list[Event] = []
    for path in [*sorted(directory.glob("events.0*")), directory / "events.jsonl"]:
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        events.extend(decode_lines(data))
    return events


async def test_each_event_is_a_line(tmp_path: Path, clock: ManualClock) -> None:
    async with JsonLines(JsonLinesConfig(), tmp_path, clock) as sink:
        await sink.write(one_of_each(1))
        await sink.write(one_of_each(2))

    assert encode_lines([*one_of_each(1), *one_of_each(2)]) == (tmp_path / "events.jsonl").read_bytes()


async def test_a_torn_line_is_cut_and_what_is_there_is_not_written_again(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode_lines([*trades(1, 5), quote(1)]) + b'{"type":"tra')
    async with JsonLines(JsonLinesConfig(), tmp_path, clock) as sink:
        mark = dict(sink.progress())
        await sink.write([*trades(3, 7), quote(1), quote(2)])

    assert {("binance", "BTCUSDT"): Mark("5", trade(5).ts_event)} == mark
    assert [*trades(1, 5), quote(1), trade(6), trade(7), quote(2)] == everything(tmp_path)


async def test_late_repairs_of_an_earlier_run_are_written_once(tmp_path: Path, clock: ManualClock) -> None:
    async with JsonLines(JsonLinesConfig(), tmp_path, clock) as sink:
        await sink.write([*trades(1, 3), *trades(7, 9), trade(5, repaired=True)])
        mark = dict(sink.progress())
    async with JsonLines(JsonLinesConfig(), tmp_path, clock) as sink:
        await sink.write(trades(4, 9, repaired=True))

    assert {("binance", "BTCUSDT"): Mark("9", trade(9).ts_event)} == mark
    assert list(range(1, 10)) == sorted(int(event.trade_id) for event in everything(tmp_path))  # type: ignore[attr-defined]


@pytest.mark.parametrize("compress", [False, True])
async def test_a_full_file_is_closed_and_the_next_begun(tmp_path: Path, clock: ManualClock, compress: bool) -> None:
    async with JsonLines(JsonLinesConfig(rotate_bytes=5000, compress=compress), tmp_path, clock) as sink:
        for at in range(0, 200, 10):
            await sink.write(trades(at + 1, at + 10))

    names = sorted(path.name for path in tmp_path.iterdir())
    suffix = ".jsonl.zst" if compress else ".jsonl"

    assert f"events.00000001{suffix}" == names[0]
    assert len(names) > 5
    assert {suffix, ".jsonl"} == {"".join(Path(name.replace("events.0", "")).suffixes) for name in names}
    assert trades(1, 200) == everything(tmp_path)


async def test_a_rotated_file_is_still_known_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    config = JsonLinesConfig(rotate_bytes=5000, compress=True)
    async with JsonLines(config, tmp_path, clock) as sink:
        await sink.write(trades(1, 60))
    async with JsonLines(config, tmp_path, clock) as sink:
        mark = sink.progress()["binance", "BTCUSDT"]
        await sink.write(trades(50, 70))

    assert "60" == mark.trade_id
    assert trades(1, 70) == everything(tmp_path)


async def test_old_files_go_by_size_and_by_age(tmp_path: Path, clock: ManualClock) -> None:
    async with JsonLines(JsonLinesConfig(rotate_bytes=5000, keep_bytes=12_000), tmp_path, clock) as sink:
        for at in range(0, 200, 10):
            await sink.write(trades(at + 1, at + 10))
    kept = sum(path.stat().st_size for path in tmp_path.glob("events.0*"))
    newest = trades(1, 200)[-len(everything(tmp_path)) :]

    assert 5000 < kept <= 12_000
    assert newest == everything(tmp_path)

    late = ManualClock(4_000_000_000_000_000_000)
    async with JsonLines(JsonLinesConfig(keep_days=1), tmp_path, late):
        pass

    assert [] == list(tmp_path.glob("events.0*"))


async def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(DeliveryError, match=r"jsonl: cannot open .*events\.jsonl: Is a directory"):
        async with JsonLines(JsonLinesConfig(), tmp_path, clock):
            pass


async def test_times_and_digits_come_back_as_they_were(tmp_path: Path, clock: ManualClock) -> None:
    odd = trade(1, price="0.000000010000", size="100000000000000000000.10", ts_event=None, ts_recv=T0 + 1, side=None)
    async with JsonLines(JsonLinesConfig(), tmp_path, clock) as sink:
        await sink.write([odd])

    assert [odd] == everything(tmp_path)


def test_what_never_leaves_the_process_is_not_asked_for(tmp_path: Path, clock: ManualClock) -> None:
    for deltas in (True, False):
        types = JsonLines(JsonLinesConfig(deltas=deltas), tmp_path, clock).types

        assert types is not None
        assert not types & {Share, BookSnapshot}
        assert (BookDelta in types) == deltas
