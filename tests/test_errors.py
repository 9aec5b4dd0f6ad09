"""The tree of the world's faults."""

import inspect
import re

from marketd import errors
from marketd.errors import BadFrame, MarketdError, Refused, place_of


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
