"""Errors say what is allowed, and are found by their kind."""

from marketd.client.errors import BadRequest, ClientError, LibraryMissing, NotFound, Passing, TryLater, Unreachable


def test_a_refusal_shows_what_is_allowed() -> None:
    assert "limit: 0 is not allowed; allowed: 1 to 10000" == str(BadRequest("limit: 0 is not allowed", "limit", "1 to 10000"))
    assert "no such path" == str(NotFound("no such path"))


def test_every_error_is_of_one_family() -> None:
    assert all(issubclass(one, ClientError) for one in (NotFound, LibraryMissing, TryLater))
    assert all(issubclass(one, Passing) for one in (TryLater, Unreachable))
    assert issubclass(LibraryMissing, ImportError)
