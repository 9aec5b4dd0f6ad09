"""The JetStream stream that events are kept in: made within the configured limits where it is missing, left alone where it is.

API: https://docs.nats.io/reference/reference-protocols/nats_api_reference (read 2026-11-21).
"""

from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from marketd.errors import DeliveryError
from marketd.net.nats_api import NAME_TAKEN, OVERLAP, NotTaken, NotThere, ask
from marketd.net.nats_session import Session
from marketd.section import Section

GIB = 1024**3
NS = 1_000_000_000


class StreamConfig(Section):
    """The JetStream stream, where `nats.jetstream` is set. It is made if it is missing; one that is there stays as it is."""

    name: str = Field("MD_EVENTS", pattern=r"^[A-Za-z0-9_-]{1,255}$", description="name of the stream")
    storage: Literal["file", "memory"] = Field("file", description="where the server keeps it")
    max_age_s: float = Field(86_400.0, ge=0, description="seconds after which the server lets an event go; 0: never")
    max_bytes: int = Field(2 * GIB, ge=0, description="bytes beyond which the server lets the oldest go; 0: no limit")
    replicas: int = Field(1, ge=1, le=5, description="copies of it in a cluster: 3 survive the loss of a server")
    duplicate_window_s: float = Field(
        600.0, ge=1, description="seconds within which an event that comes twice is kept once; the server remembers each so long"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if 0 < self.max_age_s < self.duplicate_window_s:
            least = f"duplicate_window_s ({self.duplicate_window_s:g})"
            raise ValueError(f"max_age_s: found {self.max_age_s:g}, expected 0 or {least} at least")
        return self


class Stream(NamedTuple):
    """What is there."""

    name: str
    config: dict[str, Any]  # as the server tells it

    @property
    def batched(self) -> bool:
        """Whether it takes batches whose order the server watches (ADR-50)."""
        return bool(self.config.get("allow_batched"))

    @property
    def said(self) -> str:
        """Its limits in words."""
        config = self.config
        age, size = config.get("max_age") or 0, config.get("max_bytes") or -1
        return (
            f"{', '.join(config.get('subjects') or ())}; {config.get('num_replicas', 1)} replica(s), "
            f"{'any age' if not age else f'{age / NS:g} s'}, {'any size' if size < 0 else f'{size:,} bytes'}, "
            f"duplicates within {config.get('duplicate_window', 0) / NS:g} s"
        )


async def open_stream(session: Session, config: StreamConfig, prefix: str) -> tuple[Stream, bool]:
    """The stream for `{prefix}.>`, and whether it was made just now.

    Raises NoJetStream; DeliveryError where the stream that is there cannot take the events, or nothing answers.
    """
    found = await find_stream(session, config.name)
    if found is not None:
        return _usable(found, prefix), False
    wanted = wanted_stream(config, prefix)
    try:
        answer = await _create(session, wanted)
    except NotTaken as refused:
        if refused.error.err_code == NAME_TAKEN:  # another collector was quicker
            return await open_stream(session, config, prefix)
        if refused.error.err_code == OVERLAP:
            others = ", ".join(await streams_of(session, f"{prefix}.>"))
            raise DeliveryError(
                f"nats: {session.server}: {prefix}.> belongs to stream {others} already, and nats.stream.name is {config.name}; "
                "name that one there or change nats.subject_prefix"
            ) from None
        raise
    return Stream(config.name, answer["config"]), True


async def find_stream(session: Session, name: str) -> Stream | None:
    """None where there is none. Raises NoJetStream, DeliveryError."""
    try:
        answer = await ask(session, f"STREAM.INFO.{name}")
    except NotThere:
        return None
    return Stream(name, answer["config"])


async def streams_of(session: Session, subject: str) -> list[str]:
    """The names of the streams that hold something of `subject`, which may have wildcards."""
    return list((await ask(session, "STREAM.NAMES", {"subject": subject})).get("streams") or ())


def wanted_stream(config: StreamConfig, prefix: str) -> dict[str, Any]:
    """What is made where there is none."""
    return {
        "name": config.name,
        "subjects": [f"{prefix}.>"],
        "retention": "limits",
        "discard": "old",
        "storage": config.storage,
        "num_replicas": config.replicas,
        "max_age": int(config.max_age_s * NS),
        "max_bytes": config.max_bytes or -1,
        "duplicate_window": int(config.duplicate_window_s * NS),
        "allow_direct": True,
        "allow_batched": True,
    }


def differences(stream: Stream, config: StreamConfig, prefix: str) -> list[str]:
    """In what the stream that is there differs from what the config asks for, each in words."""
    wanted, there = wanted_stream(config, prefix), stream.config
    found: list[str] = []
    for key, word, unit in (
        ("max_age", "max_age_s", NS),
        ("max_bytes", "max_bytes", 1),
        ("num_replicas", "replicas", 1),
        ("duplicate_window", "duplicate_window_s", NS),
    ):
        has, wants = there.get(key) or 0, wanted[key]
        if max(has, 0) != max(wants, 0):
            found.append(f"{word} is {max(has, 0) / unit:g}, configured {max(wants, 0) / unit:g}")
    if there.get("storage", "file") != config.storage:
        found.append(f"storage is {there.get('storage')}, configured {config.storage}")
    if not stream.batched:
        found.append("it takes no batches (allow_batched): one event of a symbol at a time, which is slower")
    return found


def covers(pattern: str, subjects: str) -> bool:
    """Whether every subject of `subjects` is one of `pattern`; both may have wildcards."""
    wide, narrow = pattern.split("."), subjects.split(".")
    for at, part in enumerate(wide):
        if part == ">":
            return len(narrow) > at
        if at >= len(narrow) or narrow[at] == ">" or (part != "*" and part != narrow[at]):
            return False
    return len(wide) == len(narrow)


async def _create(session: Session, wanted: dict[str, Any]) -> dict[str, Any]:
    subject = f"STREAM.CREATE.{wanted['name']}"
    try:
        return await ask(session, subject, wanted)
    except NotTaken as refused:
        if refused.error.err_code in (NAME_TAKEN, OVERLAP) or refused.error.code >= 500:
            raise
    # A server before 2.14 does not know what batches are.
    return await ask(session, subject, {key: value for key, value in wanted.items() if key != "allow_batched"})


def _usable(stream: Stream, prefix: str) -> Stream:
    subjects = stream.config.get("subjects") or []
    if not any(covers(pattern, f"{prefix}.>") for pattern in subjects):
        has = ", ".join(subjects) or "none"
        raise DeliveryError(
            f"nats: stream {stream.name} has the subjects {has}, expected {prefix}.>; it stays as it is: "
            "give it that subject, or change nats.stream.name or nats.subject_prefix"
        )
    if stream.config.get("no_ack") or stream.config.get("sealed"):
        how = "is sealed" if stream.config.get("sealed") else "acknowledges nothing (no_ack)"
        raise DeliveryError(f"nats: stream {stream.name} {how}: events cannot be kept in it; change nats.stream.name")
    return stream
