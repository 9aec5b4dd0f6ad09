"""What is recorded of the wire, what is masked, and what is counted when there is no room."""

import json
from typing import Any

import pytest

from marketd.net import capture
from marketd.net.capture import MASK, Recorder


def records(recorder: Recorder) -> list[Any]:
    return [json.loads(line) for line in recorder.take().splitlines()]


def test_frames_are_kept_with_their_time_venue_and_connection() -> None:
    recorder = Recorder()
    recorder.frame("open", "bybit", 3, 10, b"ws://here/bybit")
    recorder.frame("in", "bybit", 3, 11, b'{"a":"\xc3\xa9"}')
    recorder.frame("close", "bybit", 3, 12, b"silent")

    assert records(recorder) == [
        {"ts": 10, "k": "open", "venue": "bybit", "conn": 3, "url": "ws://here/bybit"},
        {"ts": 11, "k": "in", "venue": "bybit", "conn": 3, "frame": '{"a":"é"}'},
        {"ts": 12, "k": "close", "venue": "bybit", "conn": 3, "frame": "silent"},
    ]
    assert recorder.records == 3
    assert recorder.take() == b""


def test_bytes_that_are_no_text_are_kept_as_near_as_text_can() -> None:
    recorder = Recorder()
    recorder.frame("in", "bybit", 1, 10, b"\xff\xfe\x00half")

    assert records(recorder)[0]["frame"] == "��\x00half"


def test_an_answer_is_kept_with_the_headers_that_a_replay_needs() -> None:
    recorder = Recorder()
    headers = {"retry-after": "3", "date": "now", "set-cookie": "session=1", "x-mbx-used-weight-1m": "7"}
    recorder.rest(5, "binance", "http://here/api", {"symbol": "A B"}, 200, headers, b"[1]")

    assert records(recorder) == [
        {
            "ts": 5, "k": "rest", "venue": "binance", "method": "GET", "url": "http://here/api?symbol=A+B", "status": 200,
            "headers": {"retry-after": "3", "date": "now", "x-mbx-used-weight-1m": "7"}, "body": "[1]",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("secret", ["plainkey", "with/slash+plus=", 'with"quote', "with space"])
def test_a_secret_is_masked_wherever_we_say_it(secret: str) -> None:
    recorder = Recorder(["", secret])
    recorder.frame("open", "alpaca", 1, 1, f"ws://here?key={secret}".encode())
    recorder.frame("out", "alpaca", 1, 2, json.dumps({"action": "auth", "secret": secret}).encode())
    recorder.rest(3, "alpaca", "http://here", {"key": secret}, 200, {}, b"{}")
    written = records(recorder)

    assert written[0]["url"] == f"ws://here?key={MASK}"
    assert json.loads(written[1]["frame"])["secret"] == MASK
    assert written[2]["url"] == f"http://here?key={MASK}"


def test_a_secret_that_contains_another_leaves_nothing_of_itself() -> None:
    recorder = Recorder(["abc", "abcdef"])
    recorder.frame("out", "alpaca", 1, 1, b"abcdef abc")

    assert records(recorder)[0]["frame"] == f"{MASK} {MASK}"


def test_what_finds_no_room_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "BUFFER_BYTES_MAX", 200)
    recorder = Recorder()
    for number in range(10):
        recorder.frame("in", "bybit", 1, number, b"x" * 30)
    kept = recorder.records
    taken = recorder.take()
    recorder.frame("in", "bybit", 1, 11, b"again")

    assert 0 < kept < 10
    assert recorder.dropped == 10 - kept
    assert len(taken) <= 200
    assert [one["frame"] for one in records(recorder)] == ["again"]
