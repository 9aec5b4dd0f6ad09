"""Captures of every form, ours and public ones, and what is none."""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import ConfigError
from marketd.net.capture import Recorder
from marketd.sources.capture import Record, read_capture

LINES = (
    b'{"ts":5,"k":"open","venue":"bybit","conn":2,"url":"ws://here"}\n'
    b'{"ts":6,"k":"in","venue":"bybit","conn":2,"frame":"{\\"a\\":\\"\xc3\xa9\\"}"}\r\n'
    b"\n"
    b'{"ts":7,"k":"rest","venue":"bybit","method":"GET","url":"http://here?a=1","status":429,'
    b'"headers":{"retry-after":"3"},"body":"[1]"}\n'
    b'{"ts":8,"k":"close","venue":"bybit","conn":2,"frame":"silent"}'
)
RECORDS = [
    Record(5, "open", "bybit", 2, b"", "ws://here", 200, {}),
    Record(6, "in", "bybit", 2, '{"a":"é"}'.encode(), "", 200, {}),
    Record(7, "rest", "bybit", 1, b"[1]", "http://here?a=1", 429, {"retry-after": "3"}),
    Record(8, "close", "bybit", 2, b"silent", "", 200, {}),
]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def keep(records: Iterable[Record], kept: list[Record]) -> None:
    for record in records:
        kept.append(record)


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(("suffix", "pack"), [(".jsonl", bytes), (".jsonl.gz", gzip.compress), (".jsonl.zst", zst)])
def test_lines_are_read_however_they_are_packed(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    assert list(read_capture(written(tmp_path / f"session{suffix}", pack(LINES)))) == RECORDS


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zst)])
def test_a_file_packed_in_several_pieces_is_read_to_its_end(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = b"".join(pack(line) for line in LINES.splitlines(keepends=True))

    assert list(read_capture(written(tmp_path / f"session.jsonl{suffix}", whole))) == RECORDS


@pytest.mark.parametrize(("suffix", "pack"), [(".frames", bytes), (".frames.gz", gzip.compress), (".frames.zst", zst)])
def test_raw_frames_are_one_a_line_in_order(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    frames = list(read_capture(written(tmp_path / f"session{suffix}", pack(b'{"a":1}\r\n\n[2]\n'))))

    assert [(one.kind, one.venue, one.data) for one in frames] == [("in", None, b'{"a":1}'), ("in", None, b"[2]")]
    assert [one.ts for one in frames] == sorted({one.ts for one in frames})


def test_a_recording_without_receive_times_keeps_its_order(tmp_path: Path) -> None:
    lines = b'{"ts":null,"k":"in","frame":"a"}\n{"frame":"b"}\n{"ts":null,"status":null,"headers":null,"url":"u","body":"c"}\n'
    found = list(read_capture(written(tmp_path / "public.jsonl", lines)))

    assert [(one.ts, one.kind, one.data, one.status) for one in found] == [
        (1, "in", b"a", 200),
        (2, "in", b"b", 200),
        (3, "rest", b"c", 200),
    ]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zst)])
def test_a_torn_end_is_said_after_what_came_before(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    packed = pack(b"".join(b'{"ts":%d,"k":"in","frame":"%d"}\n' % (at, at * 7919 % 10007) for at in range(20_000)))
    path = written(tmp_path / f"torn.jsonl{suffix}", packed[: len(packed) // 2])
    before: list[Record] = []

    with pytest.raises(ConfigError, match=r"torn\.jsonl.*before it has been replayed"):
        keep(read_capture(path), before)

    assert [one.ts for one in before] == list(range(len(before)))
    assert before


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1]",
        b'{"ts":"noon"}',
        b'{"ts":1,"conn":"x"}',
        b'{"ts":1,"frame":{}}',
        b'{"ts":1,"frame":"\xff"}',
        b'{"ts":1,"frame":"\\ud800"}',
        b'{"ts":',
    ],
)
def test_a_line_that_is_none_is_named_by_its_number(line: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "some.jsonl", b'{"ts":1,"k":"in","frame":"a"}\n\n' + line + b"\n")

    with pytest.raises(ConfigError, match=r"some\.jsonl line 3: .*; expected a JSON object with ts, k and frame"):
        list(read_capture(path))


@pytest.mark.parametrize("name", ["plain.jsonl.gz", "plain.jsonl.zst"])
def test_a_file_that_is_not_packed_as_its_name_says_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=name):
        list(read_capture(written(tmp_path / name, LINES)))


def test_a_file_that_is_not_there_and_a_directory_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        list(read_capture(tmp_path / "nothing.jsonl"))
    with pytest.raises(ConfigError, match="directory"):
        list(read_capture(tmp_path))


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "close"]), st.integers(0, 2**62), st.text()), max_size=20))
def test_what_is_recorded_is_read_again(tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, int, str]]) -> None:
    recorder = Recorder()
    for kind, ts, text in said:
        recorder.frame(kind, "kraken", 4, ts, text.encode())
    recorder.rest(9, "kraken", "http://here", {"a": "b c"}, 404, {"date": "today"}, "né".encode())
    path = written(tmp_path_factory.mktemp("capture") / "session.jsonl", recorder.take())
    found = list(read_capture(path))

    assert found[:-1] == [Record(ts, kind, "kraken", 4, text.encode(), "", 200) for kind, ts, text in said]
    assert found[-1] == Record(9, "rest", "kraken", 1, "né".encode(), "http://here?a=b+c", 404, {"date": "today"})
    assert json.loads(path.read_bytes().splitlines()[-1])["method"] == "GET"
