"""JSON that any program may have put where we read."""

from typing import Any

import msgspec
import pytest

from marketd.model.foreign import reader_of

DEEP = b"[" * 100_000


class Wanted(msgspec.Struct):
    name: str
    more: list[Any] = []


def test_json_of_the_right_kind_is_read() -> None:
    assert Wanted("a", [1, [2]]) == reader_of(Wanted)(b'{"name": "a", "more": [1, [2]], "unknown": 3}')


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": 1}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "more": ' + DEEP,
        b'{"unknown": ' + DEEP,
        DEEP,
    ],
)
def test_whatever_is_wrong_is_one_kind_of_error(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        reader_of(Wanted)(value)


@pytest.mark.parametrize("value", [b'{"unknown": ' + DEEP, b'{"name": "a", "more": ' + DEEP])
def test_what_is_nested_too_deeply_is_said_in_words(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match=r"^nested too deeply$"):
        reader_of(Wanted)(value)


def test_what_is_far_larger_than_ours_costs_no_memory() -> None:
    with pytest.raises(msgspec.DecodeError, match=r"^10,000,002 bytes, expected at most 2,097,152$"):
        reader_of(list[msgspec.Raw])(b"[" + b"1," * 5_000_000 + b"]")
