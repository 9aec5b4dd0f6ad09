from typing import Any

import pytest

from marketd.errors import Declined
from marketd.net.redis_wire import ReplyError
from marketd.sinks.redis_look import NO_ID_LEFT, look_back, reason_of, run_of, wrong_streams


def answering(*answers: Any) -> Any:
    async def ask(*_: object) -> list[Any]:
        return list(answers)

    return ask


async def test_what_is_no_stream_or_has_no_room_is_wrong() -> None:
    full = [b"length", 1, b"last-generated-id", b"18446744073709551615-18446744073709551615"]
    none, wrong = ReplyError("ERR no such key"), ReplyError("WRONGTYPE Operation")
    answers = (b"none", none, b"stream", [b"length", 1], b"string", wrong, b"stream", full)
    found = await wrong_streams(answering(*answers), ["A", "B", "C", "D"])

    assert {"C": "holds a string, expected a stream; rename or delete it", "D": NO_ID_LEFT} == found


async def test_a_server_that_does_not_say_is_no_matter_of_one_pair() -> None:
    with pytest.raises(Declined, match="loading its data"):
        await wrong_streams(answering(ReplyError("LOADING it"), ReplyError("LOADING it")), ["A"])


async def test_entries_of_another_program_are_no_trades() -> None:
    entries = [(b"2-0", [b"a", b"b", b"odd"]), (b"1-0", [b"trade_id", b"7", b"exchange", b"binance"])]

    assert [[("", ""), ("binance", "7")]] == [page async for page in look_back(answering(entries), "A", 0)]


def test_reasons_say_what_to_do() -> None:
    assert reason_of(ReplyError("WRONGTYPE Operation")).endswith("rename or delete it")
    assert reason_of(ReplyError("ERR The stream has exhausted the last possible ID")) == NO_ID_LEFT
    assert (b"ab", b"") == (run_of(b"# Server\r\nrun_id:ab\r\n"), run_of(None))
