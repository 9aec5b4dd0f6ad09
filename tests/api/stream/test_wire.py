"""Requests are read as they stand in the docs; what is wrong is named, whatever comes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.api.stream.wire import Asked, Auth, Mistake, Ping, Subscribe, Unsubscribe, read_request


def refused(message: bytes) -> tuple[str | None, object]:
    with pytest.raises(Mistake) as mistake:
        read_request(message)
    return mistake.value.answer.field, mistake.value.answer.id


def test_requests_are_read() -> None:
    asked = b'{"op":"subscribe","id":1,"channels":[{"type":"candle","symbol":"BTCUSDT","timeframe":"1m","max_hz":2}]}'

    assert read_request(asked) == Subscribe(id=1, channels=[Asked("candle", None, "BTCUSDT", "1m", 2.0)])
    assert read_request(b'{"op":"unsubscribe","channels":[{"type":"trade"}]}') == Unsubscribe(channels=[Asked("trade")])
    assert read_request(b'{"id":"x","op":"ping"}') == Ping(id="x")
    assert read_request(b'{"op":"auth","token":"t"}') == Auth(token="t")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (b'{"op":"subscrbe","id":9}', "op"),
        (b'{"id":9}', "op"),
        (b'{"op":"subscribe","id":9}', "channels"),
        (b'{"op":"subscribe","id":9,"channels":[]}', "channels"),
        (b'{"op":"subscribe","id":9,"channels":{}}', "channels"),
        (b'{"op":"subscribe","id":9,"chanels":[]}', "chanels"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade"},{"type":"trades"}]}', "channels[1].type"),
        (b'{"op":"subscribe","id":9,"channels":[{"symbol":"BTCUSDT"}]}', "channels[0].type"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","sybmol":"BTCUSDT"}]}', "channels[0].sybmol"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","symbol":7}]}', "channels[0].symbol"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","symbol":""}]}', "channels[0].symbol"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","max_hz":0}]}', "channels[0].max_hz"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","after":-1}]}', "channels[0].after"),
        (b'{"op":"subscribe","id":9,"channels":[{"type":"trade","after":1e99}]}', "channels[0].after"),
        (b'{"op":"auth","id":9}', "token"),
        (b'{"op":"auth","id":9,"token":null}', "token"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(message: bytes, field: str) -> None:
    assert refused(message) == (field, 9)


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[1]", b"null", b'"x"', b"[" * 50_000, b'{"op":"ping"} x', b"NaN"])
def test_what_is_no_request_is_said_to_be_none(message: bytes) -> None:
    assert refused(message)[1] is None


def test_an_id_that_is_none_is_not_given_back() -> None:
    assert refused(b'{"op":"ping","id":"%s"}' % (b"x" * 65)) == ("id", None)
    assert refused(b'{"op":"ping","id":{}}') == ("id", None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
)
_WORD = st.sampled_from(["trade", "1m", "x"])
_CHANNEL = st.fixed_dictionaries({}, optional=dict.fromkeys(Asked.__struct_fields__, _JSON | _WORD))
_NEAR = st.fixed_dictionaries(
    {"op": st.sampled_from(["subscribe", "unsubscribe", "ping", "auth", "x"]) | _JSON},
    optional={"id": _JSON, "channels": st.lists(_CHANNEL | _JSON, max_size=3) | _JSON, "token": _JSON, "more": _JSON},
)


@given(st.binary(max_size=200) | _NEAR.map(msgspec.json.encode) | _JSON.map(msgspec.json.encode))
def test_whatever_comes_is_a_request_or_a_mistake_that_can_be_sent(message: bytes) -> None:
    try:
        request = read_request(message)
    except Mistake as mistake:
        answer = msgspec.json.decode(msgspec.json.encode(mistake.answer))

        assert answer["op"] == "error"
        assert answer["error"]
    else:
        assert isinstance(request, Subscribe | Unsubscribe | Ping | Auth)
