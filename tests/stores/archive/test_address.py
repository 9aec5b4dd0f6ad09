"""Addresses of databases."""

import re

import pytest

from marketd.errors import ConfigError
from marketd.stores.archive.address import address_of


@pytest.mark.parametrize(
    ("url", "kind", "driver"),
    [
        ("postgresql://user:pass@host:5432/market", "postgresql", "postgresql://user:pass@host:5432/market"),
        ("postgres://host/market", "postgresql", "postgresql://host/market"),
        ("postgresql+asyncpg://host/market?sslmode=require", "postgresql", "postgresql://host/market?sslmode=require"),
        ("postgresql:///market?host=/run/postgresql", "postgresql", "postgresql:///market?host=/run/postgresql"),
        ("sqlite:///archive.db", "sqlite", "archive.db"),
        ("sqlite:////var/lib/a%20b.db", "sqlite", "/var/lib/a b.db"),
    ],
)
def test_an_address_names_its_database(url: str, kind: str, driver: str) -> None:
    assert (kind, driver) == address_of(url)[:2]


@pytest.mark.parametrize(
    "url", ["", "archive.db", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "postgresql://", "postgresql://host:port/db"]
)
def test_what_is_no_address_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url: found .*, expected postgresql://") as refused:
        address_of(url)

    assert "\n" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    assert "postgresql://user:***@host/market" == address_of("postgresql://user:hunter2@host/market").shown
    with pytest.raises(ConfigError) as refused:
        address_of("mysql://user:hunter2@host/market")
    assert "hunter2" not in str(refused.value)


def test_what_was_typed_is_shown_where_no_password_can_be_in_it() -> None:
    with pytest.raises(ConfigError, match=r"found 'archive\.db', .*sqlite:///archive\.db \(relative.*sqlite:////.*absolute"):
        address_of("archive.db")
    for told, shown in (("user:hunter2@host/db", "***@host/db"), ("host=db password=hunter2", "host=db password=***")):
        with pytest.raises(ConfigError, match=re.escape(f"found {shown!r}")) as refused:
            address_of(told)
        assert "hunter2" not in str(refused.value)
