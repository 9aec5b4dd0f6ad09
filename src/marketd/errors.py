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

from pathlib import PurePath


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
