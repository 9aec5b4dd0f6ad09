"""The tree of the world's faults."""

import errno
import inspect
import re
import socket
import ssl

import httpx
import nats.errors
import pytest
from nats.js.errors import BadRequestError

from marketd import errors
from marketd.errors import BadFrame, DeliveryError, MarketdError, Refused, place_of, words_of


def test_every_error_is_in_the_drawing_and_under_the_root() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    written = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, MarketdError) and kind is not MarketdError
    }

    assert drawn == written


def test_a_bad_frame_names_its_venue_and_keeps_the_bytes() -> None:
    error = BadFrame("one", b"{", "frame ends early")

    assert ("one: frame ends early", b"{", "frame ends early") == (str(error), error.frame, error.reason)


def test_a_refusal_carries_the_venues_own_words() -> None:
    error = Refused("one", "Too many requests", status=429, retry_after_s=2.5)

    assert ("one: Too many requests", 429, 2.5, False) == (str(error), error.status, error.retry_after_s, error.permanent)


def test_a_mistake_of_ours_is_told_by_its_place_and_not_by_its_text() -> None:
    try:
        int("hunter2")
    except ValueError as error:
        told = place_of(error)

    assert told.startswith("ValueError at test_errors.py:")
    assert place_of(KeyError("hunter2")) == "KeyError"


BOTH = "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno 111] Connect call failed ('127.0.0.1', 1)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (nats.errors.TimeoutError(), "no answer in time"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "Connection timed out"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError(BOTH), "Connection refused"),
        (OSError("Multiple exceptions: none with a number"), "no connection"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "Name or service not known"),
        (httpx.ReadError(""), "read error"),
        (ConnectionResetError(), "the connection ended"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "No space left on device"),
        (BadRequestError(code=400, err_code=10071, description="wrong last sequence: 4"), "wrong last sequence: 4"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError("a\x1b[31m\x00b"), "a\ufffd[31m\ufffdb"),
        (ValueError("x" * 10_000), "x" * 500 + "..."),
        (ValueError(), "value error"),
        (DeliveryError("the disk is full"), "the disk is full"),
    ],
)
def test_a_fault_is_told_in_words_and_not_as_python_shows_it(error: Exception, words: str) -> None:
    assert words == words_of(error)


def test_a_server_that_speaks_no_tls_is_told_in_words() -> None:
    said = ssl.MemoryBIO()
    said.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    line = ssl.create_default_context().wrap_bio(said, ssl.MemoryBIO(), server_hostname="here")
    with pytest.raises(ssl.SSLError) as error:
        line.do_handshake()

    assert "TLS: wrong version number" == words_of(error.value)
