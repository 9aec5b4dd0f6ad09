"""`db upgrade` says what it did, or in one line why it did not."""

from pathlib import Path

from tests.cli.conftest import Ask
from tests.postgres import PostgresServer


def test_the_configured_database_is_made_and_then_left_as_it_is(ask: Ask, tmp_path: Path) -> None:
    first = ask("db", "upgrade", "--data-dir", "data of mine")
    second = ask("db", "upgrade", "--data-dir", "data of mine")

    assert (0, 0) == (first.code, second.code), first.err + second.err
    assert "schema    2, was none" in first.out
    assert "made the tables" in first.out
    assert "nothing to do" in second.out
    assert (tmp_path / "data of mine" / "archive.db").exists()


def test_a_server_is_upgraded_without_showing_its_password(ask: Ask, postgres_url: str) -> None:
    said = ask("db", "upgrade", environ={"DATABASE_URL": postgres_url.replace("postgres@", "postgres:hunter2@")})

    assert 0 == said.code, said.err
    assert "postgresql://postgres:***@127.0.0.1" in said.out
    assert "hunter2" not in said.out + said.err


def test_a_bad_address_is_a_usage_error_in_one_line(ask: Ask) -> None:
    said = ask("db", "upgrade", "--url", "mysql://user:hunter2@host/db")

    assert (2, "") == (said.code, said.out)
    assert "expected postgresql://" in said.err
    assert "hunter2" not in said.err
    assert 1 == len(said.err.splitlines())


def test_a_server_that_is_not_there_is_a_failure_in_one_line(ask: Ask) -> None:
    said = ask("db", "upgrade", "--url", "postgresql://user:hunter2@127.0.0.1:1/db")

    assert (1, "") == (said.code, said.out)
    assert "postgresql://user:***@127.0.0.1:1/db: no connection" in said.err
    assert 1 == len(said.err.splitlines())


def test_a_database_that_is_not_there_is_named(ask: Ask, postgres: PostgresServer) -> None:
    said = ask("db", "upgrade", "--url", postgres.url("no_such_database"))

    assert 1 == said.code
    assert 'database "no_such_database" does not exist' in said.err
