"""Who owns which partition: a key with a time to live for each member and a claim on each partition, both in a bucket of NATS.

A member that does not renew its key is gone once the server has let the key expire. A claim changes hands only by compare and
swap on its revision, so two members never both believe in the same one; it also holds up to where the partition is done, so
that whoever lost it cannot move that either. Time to live: ADR-43, compare and swap and buckets: ADR-8 of
https://github.com/nats-io/nats-architecture-and-design (read 2026-11-21).
"""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import nats.errors
import structlog
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, NotFoundError

from marketd.clock import Clock
from marketd.errors import DeliveryError, words_of
from marketd.metrics import Metrics
from marketd.net.nats import NatsLink
from marketd.net.nats_api import NAME_TAKEN, NotTaken, ask, latest

LOOK_S = 0.5
ANSWER_S = 3.0  # or a third of the lease, so that two renewals may fail; a busy server's answer takes longer than a look
MARKER_S = 1.0  # how long the server remembers that a key expired, so that watchers see it
WRONG_REVISION = {10071, 10164}  # the server's codes
LEASE_S_MAX = 300
NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
TTL = re.compile(r"([1-9][0-9]{0,3})s")
SHOWN = 200  # bytes of a value that is no claim
log = structlog.get_logger("partitions")


class Held(msgspec.Struct, frozen=True):
    """What stands in a partition's key."""

    member: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z_-]{1,64}$")] | None  # None: released
    done: Annotated[
        int, msgspec.Meta(ge=0, le=2**63 - 1)
    ]  # sequence of the last message of the partition that is processed, 0 before the first
    life: str = ""  # of the stream that the sequence belongs to


@dataclass(frozen=True)
class Claim:
    """What is known of a partition's key."""

    partition: int
    member: str | None = None
    done: int = 0
    life: str = ""
    revision: int = 0  # 0: never written

    def done_in(self, life: str) -> int:
        """Up to where it is done in the stream as it is now: a stream that was deleted and made anew begins at the beginning."""
        return self.done if self.life == life else 0


@dataclass(frozen=True)
class View:
    """The bucket as a whole, as it was a moment ago."""

    members: frozenset[str]
    claims: Mapping[int, Claim]

    def is_free(self, partition: int) -> bool:
        """Nobody who is alive holds it."""
        claim = self.claims.get(partition)
        return claim is None or claim.member is None or claim.member not in self.members


def share(members: Collection[str], member: str, count: int) -> int:
    """How many of `count` partitions a member should have: all the same, the first few by name one more."""
    ordered = sorted({*members, member})
    each, more = divmod(count, len(ordered))
    return each + (ordered.index(member) < more)


def is_heartbeat(data: bytes, ttl: str) -> bool:
    """Whether a member's key says that it lives: one that the server does not let go of soon would say so for ever."""
    found = TTL.fullmatch(ttl)
    return bool(data) and found is not None and int(found[1]) <= LEASE_S_MAX


class Leases:
    """One member's view of the bucket, and its part in it."""

    def __init__(self, link: NatsLink, bucket: str, lease_s: int, clock: Clock, metrics: Metrics) -> None:
        """`lease_s`: after so many seconds without a renewal the others take over; whole, from 1 to 300."""
        self.bucket, self.lease_s = bucket, lease_s
        self._link, self._clock = link, clock
        self._unreadable = metrics.claims_unreadable
        self._told: dict[str, int] = {}  # keys that cannot be read, with the revision that was told
        self._name = secrets.token_hex(4)
        self._names = 0
        self.member = ""
        self.life = ""  # of the stream that claims are about
        self._valid: tuple[float, int] | None = None  # until when, by both clocks
        self.reborn()

    @property
    def pause_s(self) -> float:
        """Between two renewals and two looks at the others."""
        return min(self.lease_s / 3, LOOK_S)

    @property
    def is_valid(self) -> bool:
        """Whether the others certainly still see this member. Asked before anything is published or claimed as done.

        Both clocks must agree: the monotonic one stands still while a machine sleeps, the other one can be set.
        """
        return self._valid is not None and self._clock.monotonic() < self._valid[0] and self._clock.now_ns() < self._valid[1]

    @property
    def is_lapsed(self) -> bool:
        """It was a member, and may be one no longer."""
        return self._valid is not None and not self.is_valid

    def reborn(self) -> None:
        """Begin anew under another name: what was held under the old one is anybody's."""
        self._names += 1
        self.member = f"{self._name}-{self._names}"
        self._valid = None

    async def open(self, replicas: int = 1) -> None:
        """Make the bucket if it is missing, with so many copies. Raises DeliveryError."""
        config: dict[str, Any] = {
            "name": f"KV_{self.bucket}",
            "description": "who owns which partition, and up to where it is done",
            "subjects": [f"$KV.{self.bucket}.>"],
            "max_msgs_per_subject": 1,
            "num_replicas": replicas,
            "storage": "file",
            "discard": "new",
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_msg_ttl": True,
            "subject_delete_marker_ttl": int(MARKER_S * 1e9),
        }
        try:
            await ask(self._link.session, f"STREAM.CREATE.{config['name']}", config)
        except NotTaken as refused:
            if refused.error.err_code != NAME_TAKEN:  # with other settings: respected
                raise

    async def renew(self) -> None:
        """Say that this member lives; `is_valid` for `lease_s` from when it was said. Raises DeliveryError.

        What is answered after the lease has ended renews nothing: the others may have seen it end.
        """
        if self.is_lapsed:
            return
        member = self.member
        until = self._clock.monotonic() + self.lease_s, self._clock.now_ns() + self.lease_s * 1_000_000_000
        headers = {"Nats-TTL": f"{self.lease_s}s"}
        try:
            await self._stream.publish(self._subject("members", self.member), self._name.encode(), headers=headers)
        except nats.errors.Error as error:
            raise DeliveryError(f"nats bucket {self.bucket}: member not renewed ({words_of(error)})") from error
        if member == self.member and not self.is_lapsed:
            self._valid = until

    async def leave(self) -> None:
        """The others need not wait for the key to expire. Raises DeliveryError."""
        self._valid = None
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": f"{self.lease_s}s"}
        try:
            await self._stream.publish(self._subject("members", self.member), b"", headers=headers)
        except nats.errors.Error as error:
            raise DeliveryError(f"nats bucket {self.bucket}: not left ({words_of(error)})") from error

    async def view(self) -> View:
        """Who is there and who holds what; a claim that cannot be read is nobody's. Raises DeliveryError."""
        members: set[str] = set()
        claims: dict[int, Claim] = {}
        prefix = f"$KV.{self.bucket}."
        for message in await latest(self._link.session, f"KV_{self.bucket}", f"{prefix}>"):
            key = message.subject.removeprefix(prefix)
            kind, _, name = key.partition(".")
            if kind == "members":
                if is_heartbeat(message.data, message.ttl):
                    members.add(name)
                elif message.data:
                    expected = f"a time to live of 1s to {LEASE_S_MAX}s, found {message.ttl or 'none'}; it is no member"
                    self._tell(key, message.data, message.sequence, expected)
            elif kind == "partitions" and NUMBER.fullmatch(name):
                held = self._held(key, message.data, message.sequence)
                number, revision = int(name), message.sequence
                claims[number] = (
                    Claim(number, revision=revision)
                    if held is None
                    else Claim(number, held.member, held.done, held.life, revision)
                )
            else:
                self._tell(key, message.data, message.sequence, "members.<name> or partitions.<number>; it is ignored")
        return View(frozenset(members), claims)

    async def is_gone(self, member: str) -> bool:
        """Asks the leader of the bucket: a copy of it may be behind. Raises DeliveryError."""
        try:
            message = await self._stream.get_last_msg(f"KV_{self.bucket}", self._subject("members", member))
        except NotFoundError:
            return True
        except nats.errors.Error as error:
            raise DeliveryError(f"nats bucket {self.bucket}: {error!r}") from error
        return not is_heartbeat(message.data or b"", (message.headers or {}).get("Nats-TTL", ""))

    async def write(self, claim: Claim, *, member: str | None, done: int) -> Claim | None:
        """Take, move on or release a partition. None if the claim has changed hands. Raises DeliveryError: then try again."""
        wanted = Held(member, done, self.life)
        headers = {"Nats-Expected-Last-Subject-Sequence": str(claim.revision)}
        subject = self._subject("partitions", str(claim.partition))
        try:
            try:
                answer = await self._stream.publish(subject, msgspec.json.encode(wanted), headers=headers)
            except BadRequestError as error:
                if error.err_code not in WRONG_REVISION:
                    raise
                return await self._found(subject, claim, wanted)
        except nats.errors.Error as error:
            where = f"nats bucket {self.bucket}: partition {claim.partition}"
            raise DeliveryError(f"{where} not written ({words_of(error)})") from error
        return Claim(claim.partition, member, done, self.life, answer.seq)

    async def _found(self, subject: str, claim: Claim, wanted: Held) -> Claim | None:
        """The revision is another one: somebody else's, or our own write whose answer was lost."""
        try:
            message = await self._stream.get_last_msg(f"KV_{self.bucket}", subject)
        except NotFoundError:
            return None
        revision = message.seq or 0
        held = self._held(f"partitions.{claim.partition}", message.data or b"", revision)
        if held is None:  # nobody's: whoever had it goes on, others take it at their next look
            mine = claim.member == self.member
            return await self.write(replace(claim, revision=revision), member=wanted.member, done=wanted.done) if mine else None
        stands = Claim(claim.partition, held.member, held.done, held.life, revision)
        if held == wanted and held.member is not None:
            return stands
        if held.member == self.member and claim.member == self.member:
            return await self.write(stands, member=wanted.member, done=wanted.done)
        return None

    def _held(self, key: str, data: bytes, revision: int) -> Held | None:
        """None if this is no claim, which is counted and said."""
        try:
            return msgspec.json.decode(data, type=Held)
        except (ValueError, RecursionError) as error:
            self._tell(key, data, revision, f'{{"member":"...","done":0,"life":"..."}} ({error}); it is taken as free')
            return None

    def _tell(self, key: str, data: bytes, revision: int, expected: str) -> None:
        """Once for each value that somebody wrote, and not at each look."""
        if self._told.get(key) == revision:
            return
        self._told[key] = revision
        self._unreadable.inc()
        log.warning(
            "partition.unreadable",
            bucket=self.bucket,
            key=key,
            value=data[:SHOWN].decode(errors="backslashreplace"),
            expected=expected,
        )

    def _subject(self, kind: str, name: str) -> str:
        return f"$KV.{self.bucket}.{kind}.{name}"

    @property
    def _stream(self) -> JetStreamContext:
        return self._link.client.jetstream(timeout=min(self.lease_s / 3, ANSWER_S))
