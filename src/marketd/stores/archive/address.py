"""The address of the archive's database, as `database.url` says it."""

from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from marketd.errors import ConfigError
from marketd.secrets import masked, masked_address

EXPECTED = (
    "expected postgresql://user:password@host:port/database, sqlite:///archive.db (relative to the working directory) "
    "or sqlite:////var/lib/archive.db (absolute)"
)


class Address(NamedTuple):
    kind: Literal["postgresql", "sqlite"]
    url: str  # as the driver takes it: a DSN, or the path of a file
    shown: str  # without a password


def address_of(url: str) -> Address:
    """Raises ConfigError for what is no address of a database that the archive knows."""
    scheme, found, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if found and kind == "sqlite" and rest.startswith("/") and len(rest) > 1 and rest[1:] != ":memory:":
        path = unquote(rest[1:].partition("?")[0])
        return Address("sqlite", path, f"sqlite:///{path}")
    if found and kind in ("postgresql", "postgres") and _is_postgresql(rest):
        return Address("postgresql", f"postgresql://{rest}", masked(f"postgresql://{rest}"))
    raise ConfigError(f"database.url: found {masked_address(url)!r}, {EXPECTED}")


def _is_postgresql(rest: str) -> bool:
    try:
        parts = urlsplit(f"postgresql://{rest}")
        parts.port  # noqa: B018 (raises ValueError if it is no number)
    except ValueError:
        return False
    return bool(parts.hostname or parts.query or len(parts.path) > 1)
