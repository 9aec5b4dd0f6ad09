"""permessage-deflate (RFC 7692): what is agreed on, our messages packed once for all clients, and theirs unpacked."""

import struct
import zlib
from collections.abc import Sequence

from marketd.api.stream.frames import TEXT

PACKED = TEXT | 0x40  # the bit that says: this message is packed
WINDOW_BITS = 12  # of ours: messages are alike, and those just before are near; common clients ask for no more
LEVEL, MEMORY = 3, 8
TAIL = b"\x00\x00\xff\xff"  # ends every packed message and is left out
NAME = "permessage-deflate"
SERVER_BITS, CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
ALONE, OWN_ALONE = "server_no_context_takeover", "client_no_context_takeover"
FLAGS, BITS = (ALONE, OWN_ALONE), (SERVER_BITS, CLIENT_BITS)
SIZES = {str(bits): bits for bits in range(8, 16)}


class Unpackable(Exception):
    """A message that does not unpack."""


class TooLarge(Exception):
    """A message that unpacks to more than it may."""


def agreed(offers: str) -> str | None:
    """The answer to the first offer that can be met; None: nothing is packed.

    What is packed is shared: messages refer to those before them in the same flush. An offer that forbids this, or whose
    window is smaller than ours, is declined. A client is asked to pack each message on its own, so that nothing is kept for it.
    """
    for offer in offers.split(","):
        name, *words = (word.strip() for word in offer.split(";"))
        asked = _parameters(words)
        if name.lower() != NAME or asked is None or ALONE in asked:
            continue
        bits = asked.get(SERVER_BITS)
        if bits is not None and SIZES[bits] < WINDOW_BITS:
            continue
        return "; ".join([NAME, OWN_ALONE, *([f"{SERVER_BITS}={WINDOW_BITS}"] if bits else [])])
    return None


def deflated(frames: Sequence[bytes]) -> bytes:
    """The same text frames, packed: each refers to those before it, and none to what is not in `frames`."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY)
    take, flush = packer.compress, packer.flush
    packed: list[bytes] = []
    for frame in frames:
        start = 2 if frame[1] < 126 else 4 if frame[1] == 126 else 10
        payload = (take(memoryview(frame)[start:]) + flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]
        size = len(payload)
        if size < 126:
            packed.append(bytes((PACKED, size)))
        elif size < 65_536:
            packed.append(struct.pack("!BBH", PACKED, 126, size))
        else:
            packed.append(struct.pack("!BBQ", PACKED, 127, size))
        packed.append(payload)
    return b"".join(packed)


def inflated(message: bytes, bytes_max: int) -> bytes:
    """A message that was packed on its own. Raises Unpackable, and TooLarge without unpacking more than `bytes_max`."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(message + TAIL, bytes_max + 1)
    except zlib.error as error:
        raise Unpackable(str(error)) from None
    if len(found) > bytes_max:
        raise TooLarge
    if unpacker.eof and unpacker.unused_data.lstrip(b"\0") != TAIL.lstrip(b"\0"):
        raise Unpackable("more follows after its end")
    return found


def _parameters(words: Sequence[str]) -> dict[str, str] | None:
    """Of one offer; None where it is none of the protocol's."""
    found: dict[str, str] = {}
    for word in words:
        key, _, value = (part.strip() for part in word.partition("="))
        value = value.strip('"')
        known = value in SIZES or (key == CLIENT_BITS and not value) if key in BITS else key in FLAGS and "=" not in word
        if not known or key in found:
            return None
        found[key] = value
    return found
