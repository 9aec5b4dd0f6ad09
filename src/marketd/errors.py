"""What can go wrong in the world. Our own mistakes are asserts.

MarketdError
├── ConfigError        a setting is wrong: names the key, the value found and what is allowed
├── BadFrame           a venue's frame or body cannot be understood: venue, reason, the bytes
├── Refused            a venue declines a request: its words, how long to wait, whether for good
├── Disconnected       a connection ended or never began
├── DeliveryError      a sink could not write a batch and wants it again
│   ├── Declined       ... since its server is there and does not take it
│   └── Unreachable    ... since its server is away, which whoever connects to it has said
└── StartError         the daemon cannot start: a busy port, an unwritable directory
"""

import os
import re
import ssl
from pathlib import PurePath

DEPTH_MAX = 16  # faults behind a fault that are looked at
WORDS_MAX = 500  # letters of a fault's words: others may have written them
_NUMBER = re.compile(r"\[Errno (-?\d+)\] ?")
_TYPE = re.compile(r"^<class '[^']*'>:? *")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class MarketdError(Exception):
    """The root of the world's faults."""


class ConfigError(MarketdError):
    """A setting is wrong. The text names the key, what was found and what is allowed."""


class BadFrame(MarketdError):
    """A frame or body that cannot be understood; the next one may be fine."""

    def __init__(self, venue: str, frame: bytes, reason: str) -> None:
        super().__init__(f"{venue}: {reason}")
        self.venue, self.frame, self.reason = venue, frame, reason


class Refused(MarketdError):
    """The venue said no: `words` are its own; wait `retry_after_s`; `permanent` means asking again is pointless."""

    def __init__(self, venue: str, words: str, *, status: int = 0, retry_after_s: float = 0.0, permanent: bool = False) -> None:
        super().__init__(f"{venue}: {words}")
        self.venue, self.words, self.status = venue, words, status
        self.retry_after_s, self.permanent = retry_after_s, permanent


class Disconnected(MarketdError):
    """A connection ended or could not be made; the text says to where and why."""


class DeliveryError(MarketdError):
    """A sink could not write; the batch is kept and offered again."""


class Declined(DeliveryError):
    """The server is there and takes nothing for now, or does not answer. A daemon that stops need not wait until it does."""


class Unreachable(DeliveryError):
    """The server is away. Whoever connects to it has said so and goes on trying: it need not be said again."""


class StartError(MarketdError):
    """The daemon cannot start; one line that says what to change."""


def place_of(error: BaseException) -> str:
    """`ValueError at shard.py:57`: a mistake of ours without its text, which may repeat a secret or a whole frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = type(error).__name__
    return name if trace is None else f"{name} at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def words_of(error: BaseException) -> str:
    """What happened, in a line for a person: the words of the system or the server, without a library's names and numbers."""
    error = _root(error)
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        reason = (getattr(error, "reason", "") or "the connection failed").replace("_", " ").lower()
        return ": ".join(filter(None, ("TLS", reason, getattr(error, "verify_message", ""))))
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else error.strerror or _name(error)
    said = str(getattr(error, "description", None) or error)  # nats-py's own text has the fields by their names
    if said.startswith("Multiple exceptions: "):  # asyncio's, of a name with several addresses
        numbers = dict.fromkeys(int(number) for number in _NUMBER.findall(said))
        return ", ".join(os.strerror(number) for number in numbers if number > 0) or "no connection"
    said = " ".join(_TYPE.sub("", _NUMBER.sub("", said)).split()) or _name(error)
    said = said if len(said) <= WORDS_MAX else f"{said[:WORDS_MAX]}..."
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in said)


def _root(error: BaseException) -> BaseException:
    """What the system said, where a library only says that something failed; what we say ourselves stands."""
    found: BaseException | None = error
    for _ in range(DEPTH_MAX):
        if found is None or isinstance(found, MarketdError):
            break
        if isinstance(found, OSError) and found.errno:
            return found
        found = found.__cause__ or found.__context__
    return error


def _name(error: BaseException) -> str:
    """`ConnectionResetError` in words: those of the system, where it has some."""
    if isinstance(error, ConnectionError):
        return "the connection ended"
    return _CAPITAL.sub(" ", type(error).__name__).lower()
