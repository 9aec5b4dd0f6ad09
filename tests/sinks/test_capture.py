"""A capture's file: written while the daemon runs, whole at the end, never over another one."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.errors import StartError
from marketd.net import capture
from marketd.sinks import capture as sink
from marketd.sinks.capture import FLUSH_S, open_capture
from marketd.sources.capture import read_capture

FORMS = pytest.mark.parametrize("name", ["session.jsonl", "session.jsonl.gz", "session.jsonl.zst"])


def frames_of(path: Path) -> list[bytes]:
    return [one.data for one in read_capture(path)]


@FORMS
async def test_what_was_recorded_is_in_the_file_in_order_and_whole(name: str, clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "new directory" / name
    async with open_capture(path, clock) as recorder:
        for number in range(50):
            recorder.frame("in", "bybit", 1, number, b"%d" % number)
            if number % 10 == 0:
                await clock.advance(FLUSH_S)

    assert frames_of(path) == [b"%d" % number for number in range(50)]


async def test_records_reach_the_file_while_the_daemon_runs(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    async with open_capture(path, clock) as recorder:
        recorder.frame("in", "bybit", 1, 1, b"early")
        await clock.advance(2 * FLUSH_S)

        assert frames_of(path) == [b"early"]


@FORMS
async def test_an_error_inside_still_leaves_a_whole_file(name: str, clock: ManualClock, tmp_path: Path) -> None:
    async def fail() -> None:
        async with open_capture(tmp_path / name, clock) as recorder:
            recorder.frame("in", "bybit", 1, 1, b"kept")
            raise StartError("elsewhere")

    with pytest.raises(StartError, match="elsewhere"):
        await fail()

    assert frames_of(tmp_path / name) == [b"kept"]


@FORMS
async def test_a_capture_is_never_overwritten(name: str, clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"precious")

    with pytest.raises(StartError, match="exists already"):
        async with open_capture(tmp_path / name, clock):
            pass
    assert (tmp_path / name).read_bytes() == b"precious"


async def test_a_place_that_cannot_be_written_is_said_before_anything_runs(clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StartError, match=r"capture .*session\.jsonl: .+"):
        async with open_capture(tmp_path / "file" / "session.jsonl", clock):
            pass


async def test_secrets_never_reach_the_file(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    async with open_capture(path, clock, ["topsecret"]) as recorder:
        recorder.frame("out", "alpaca", 1, 1, b'{"secret":"topsecret"}')

    assert b"topsecret" not in path.read_bytes()


async def test_records_without_room_are_counted_in_the_log(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "BUFFER_BYTES_MAX", 100)
    with capture_logs() as said:
        async with open_capture(tmp_path / "session.jsonl", clock) as recorder:
            recorder.frame("in", "bybit", 1, 1, b"x" * 200)
            recorder.frame("in", "bybit", 1, 2, b"kept")

    assert [(one["event"], one["records"]) for one in said] == [("capture.dropped", 1)]
    assert frames_of(tmp_path / "session.jsonl") == [b"kept"]


@pytest.mark.parametrize("records", [0, 1])
async def test_a_full_disk_is_said_and_ends_nothing(
    records: int, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "_open", lambda path: Path("/dev/full").open("wb"))  # noqa: SIM115 - the capture closes it
    with capture_logs() as said:
        async with open_capture(tmp_path / "session.jsonl", clock) as recorder:
            recorder.frame("in", "bybit", 1, 1, b"lost")
            await clock.advance(FLUSH_S)
            for _ in range(records):
                recorder.frame("in", "bybit", 1, 2, b"lost at the end")

    assert {one["event"] for one in said} == {"capture.failed"}
    assert said[-1]["reason"] == "No space left on device"
