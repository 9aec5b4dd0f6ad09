"""Closed files."""

from pathlib import Path

import zstandard

from marketd.sinks.rotation import DAY_NS, ClosedFiles, compress


def closed(path: Path, **changes: float | None) -> ClosedFiles:
    wanted = {"compress": False, "keep_bytes": None, "keep_days": None, **changes}
    return ClosedFiles(path, **wanted)  # type: ignore[arg-type]


def test_numbers_go_on_after_the_highest_there_is(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    (tmp_path / "events.00000041.jsonl.zst").write_bytes(b"")
    (tmp_path / "events.notes.jsonl").write_bytes(b"")
    path.write_bytes(b"x")
    files = closed(path)
    files.take_over(0)

    assert ["events.00000041.jsonl.zst", "events.00000042.jsonl"] == [one.name for one in files.oldest_first()]


def test_a_compression_cut_short_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "events.00000001.jsonl"
    path.write_bytes(b"line\n" * 1000)
    (tmp_path / "events.00000001.jsonl.new").write_bytes(b"half")
    compress(path)

    assert ["events.00000001.jsonl.zst"] == [one.name for one in tmp_path.iterdir()]
    assert (
        b"line\n" * 1000
        == zstandard.ZstdDecompressor().stream_reader((tmp_path / "events.00000001.jsonl.zst").read_bytes()).read()
    )


def test_of_both_forms_of_a_file_the_complete_one_stays(tmp_path: Path) -> None:
    for name in ("events.00000001.jsonl", "events.00000001.jsonl.zst"):
        (tmp_path / name).write_bytes(b"x")

    assert ["events.00000001.jsonl.zst"] == [one.name for one in closed(tmp_path / "events.jsonl").oldest_first()]


def test_the_oldest_go_first(tmp_path: Path) -> None:
    for number in range(1, 6):
        (tmp_path / f"events.{number:08d}.jsonl").write_bytes(b"x" * 100)
    files = closed(tmp_path / "events.jsonl", keep_bytes=250)
    files.tidy(0)

    assert ["events.00000004.jsonl", "events.00000005.jsonl"] == [one.name for one in files.oldest_first()]

    aged = closed(tmp_path / "events.jsonl", keep_days=1.0)
    aged.tidy((tmp_path / "events.00000005.jsonl").stat().st_mtime_ns + 2 * DAY_NS)

    assert [] == aged.oldest_first()
