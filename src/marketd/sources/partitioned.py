"""The stream that holds what features are made of, each symbol in one of a fixed number of partitions.

The server itself fills it from the events' stream and computes the partitions: subject transforms, ADR-36 of
https://github.com/nats-io/nats-architecture-and-design (read 2026-11-21). The events' stream is left as it is.
"""

from typing import Any, NamedTuple

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.times import iso_of_ns
from marketd.net.nats_api import NAME_TAKEN, NotTaken, NotThere, ask
from marketd.net.nats_session import Session
from marketd.net.nats_stream import streams_of

STREAM = "senpai-partitions"
PREFIX = "senpai.partitions"
TYPES = ("trade", "quote", "gap")  # of a symbol: they go to its partition
STATUS = f"{PREFIX}.status.*"  # of whole venues: for every partition


class Made(NamedTuple):
    """The stream as it is there."""

    life: str  # when it was made; sequences of another life mean nothing
    replicas: int


def subjects(partition: int) -> list[str]:
    """What the owner of a partition reads."""
    return [f"{PREFIX}.{partition}.>", STATUS]


async def open_partitioned(session: Session, prefix: str, count: int, clock: Clock) -> Made:
    """The stream; it is made if it is missing, with the limits of the events' own.

    Raises DeliveryError: while there are no events, and where it is there for another number of partitions.
    """
    found = await _found(session)
    if found is None:
        source = await _events_stream(session, prefix)
        config = {
            "name": STREAM,
            "description": "trades, quotes and gaps by partition, for marketd's features",
            "sources": [
                {
                    "name": source["name"],
                    "opt_start_time": iso_of_ns(clock.now_ns()),
                    "subject_transforms": _transforms(prefix, count),
                }
            ],
            "retention": "limits",
            "discard": "old",
            "max_age": source.get("max_age", 0),
            "max_bytes": source.get("max_bytes", -1),
            "storage": source["storage"],
            "num_replicas": source["num_replicas"],
            "compression": "s2" if source["storage"] == "file" else "none",
            "allow_direct": True,
        }
        try:
            await ask(session, f"STREAM.CREATE.{STREAM}", config)
        except NotTaken as refused:
            if refused.error.err_code != NAME_TAKEN:  # another member was quicker
                raise
        found = await _found(session)
    if found is None:
        raise DeliveryError(f"nats stream {STREAM} was deleted while it was made")
    transforms = [one for source in found["config"].get("sources", []) for one in source.get("subject_transforms", [])]
    if _transforms(prefix, count) != transforms:
        dests = ", ".join(sorted({str(one.get("dest")) for one in transforms})) or "none"
        raise DeliveryError(
            f"nats stream {STREAM} is there with other partitions ({dests}), expected {count} of {prefix}: "
            "set features.partitions and nats.subject_prefix as all the other members have them, or stop them all and delete "
            "it together with its bucket"
        )
    return Made(str(found["created"]), int(found["config"].get("num_replicas", 1)))


def _transforms(prefix: str, count: int) -> list[dict[str, str]]:
    """One source with one transform a type: several sources would not keep the order between them."""
    partition = f"{{{{partition({count},1)}}}}"
    by_symbol = [{"src": f"{prefix}.{kind}.*", "dest": f"{PREFIX}.{partition}.{kind}.{{{{wildcard(1)}}}}"} for kind in TYPES]
    return [*by_symbol, {"src": f"{prefix}.status.*", "dest": f"{PREFIX}.status.{{{{wildcard(1)}}}}"}]


async def _found(session: Session) -> dict[str, Any] | None:
    try:
        return await ask(session, f"STREAM.INFO.{STREAM}")
    except NotThere:
        return None


async def _events_stream(session: Session, prefix: str) -> dict[str, Any]:
    names = await streams_of(session, f"{prefix}.trade.*")
    if not names:
        raise DeliveryError(f"nats: no stream holds {prefix}.trade.*; a collector with USE_JETSTREAM=true makes it")
    return dict((await ask(session, f"STREAM.INFO.{names[0]}"))["config"])
