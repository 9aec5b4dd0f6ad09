"""
What can go wrong for a client, each with the server's own words.

ClientError
├── BadRequest         a parameter does not fit: which one, and what is allowed
│   └── NotFound       no such series, venue or path there
├── NotAllowed         the token is missing or wrong
├── ServerFailed       the server made a mistake; its log says which
├── BadAnswer          what came is not what was asked for: another program may listen there
├── Passing            it may be over soon, so it is tried again
│   ├── Unreachable    no connection, or one that broke
│   └── TryLater       429 or 503
├── BadAddress         the address of the server is none
└── LibraryMissing     a data frame was asked for, and no library for it is installed, or it is none of ours
"""


class ClientError(Exception):
    """The root of all below."""


class BadRequest(ClientError):
    def __init__(self, error: str, parameter: str | None = None, allowed: object = None) -> None:
        super().__init__(error if allowed is None else f"{error}; allowed: {allowed}")
        self.error, self.parameter, self.allowed = error, parameter, allowed


class NotFound(BadRequest): ...


class NotAllowed(ClientError): ...


class ServerFailed(ClientError): ...


class BadAnswer(ClientError): ...


class Passing(ClientError):
    retry_after_s: float | None = None  # what the server asks for


class Unreachable(Passing): ...


class TryLater(Passing):
    def __init__(self, error: str, retry_after_s: float | None = None) -> None:
        super().__init__(error)
        self.retry_after_s = retry_after_s


class BadAddress(ClientError, ValueError): ...


class LibraryMissing(ClientError, ImportError): ...
