"""Real frames with one thing wrong: a node of the JSON replaced, a key dropped or doubled, the text cut."""

import json
import random
from collections.abc import Iterator
from typing import Any

# Literals as a broken or hostile sender may write them; NaN and the long ones are no JSON numbers that fit anywhere.
LITERALS = (
    *("null", "true", "0", "-1", "-0", "1.5", "1e400", "1e-400", "-9223372036854775809", "18446744073709551616"),
    *("9" * 40, "9" * 5000, "0." + "0" * 200 + "1", "NaN", "Infinity", "-Infinity", '"NaN"', '"-1"', '"1e5"', '"0"', '"+1"'),
    *('""', '" 1"', '"1_000"', '"٣"', '"\\ud800"', '"\\u0000"', '"x"', "[]", "{}", "[[]]", '[["1","2","3"]]', '{"a":{"a":1}}'),
    *("[" * 200 + "]" * 200, '"' + "A" * 5000 + '"', '"9999-99-99T99:99:99Z"', '"2026-01-01T00:00:00.0000000000001Z"'),
)
MARK = "\x01"


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each node, the whole first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, node in inner:
        yield from spots(node, (*path, key))


def replaced(frame: bytes, path: tuple[Any, ...], literal: str) -> bytes:
    """The frame with the node at `path` written as `literal`."""
    if not path:
        return literal.encode()
    value = json.loads(frame)
    *way, last = path
    holder = value
    for key in way:
        holder = holder[key]
    holder[last] = MARK
    return _written(value).replace(_written(MARK), literal.encode())


def dropped(frame: bytes, path: tuple[Any, ...]) -> bytes:
    """The frame without the node at `path`."""
    value = json.loads(frame)
    *way, last = path
    holder = value
    for key in way:
        holder = holder[key]
    del holder[last]
    return _written(value)


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def all_of(frame: bytes, literals: tuple[str, ...] = LITERALS) -> Iterator[bytes]:
    """Each node replaced by each literal, each node dropped, and the frame cut at some places."""
    for path in spots(json.loads(frame)):
        for literal in literals:
            yield replaced(frame, path, literal)
        if path:
            yield dropped(frame, path)
    for at in range(0, len(frame), max(1, len(frame) // 16)):
        yield frame[:at]


def one_of(frame: bytes, dice: random.Random) -> bytes:
    """One change, of the structure where the frame still is JSON, else of the bytes."""
    try:
        value = json.loads(frame)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict | list) or dice.random() < 0.1:
        changed = bytearray(frame or b"0")
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        return bytes(changed[: dice.randint(1, len(changed))] if dice.random() < 0.3 else changed)
    path = dice.choice(list(spots(value)))
    return dropped(frame, path) if path and dice.random() < 0.15 else replaced(frame, path, dice.choice(LITERALS))
