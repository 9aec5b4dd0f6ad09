"""What `tail` takes for a source, and what it says of anything else."""

from pathlib import Path

import pytest

from tests.cli.conftest import Ask

NAMELESS = "--consumer one: members of a NATS group have no names; allowed with redis:KEY"
NO_SUBJECT = "tail nats:a..b: is no subject; expected one as md.events.trade.BTCUSDT, md.events.> or md.events.*.BTCUSDT"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.txt"], "tail x.txt: expected redis:KEY, redis:list, nats:SUBJECT, nats:list or a .jsonl file"),
        (["redis:"], "tail redis: names no stream; expected redis:KEY, as redis:trades:BTCUSDT, or redis:list"),
        (["redis:list", "--group", "mine"], "--group mine: a list has no groups; allowed with redis:KEY and nats:SUBJECT"),
        (["x.jsonl", "--group", "mine"], "--group mine: a file has no groups; allowed with redis:KEY and nats:SUBJECT"),
        (["nats:"], "tail nats: names no subject; expected nats:SUBJECT, as nats:md.events.>, or nats:list"),
        (["nats:list", "--group", "mine"], "--group mine: a list has no groups; allowed with redis:KEY and nats:SUBJECT"),
        (["nats:a", "--group", "g", "--consumer", "one"], NAMELESS),
        (
            ["nats:a..b"],
            NO_SUBJECT,
        ),
        (["redis:a", "--consumer", "one"], "--consumer: is a member's name within a group; expected --group NAME beside it"),
    ],
)
def test_a_source_that_is_none_is_one_line(ask: Ask, words: list[str], says: str) -> None:
    said = ask("tail", *words)

    assert (2, f"marketd: {says}\n") == (said.code, said.err)


@pytest.mark.parametrize(
    ("source", "variable", "shown"),
    [
        ("redis:list", "REDIS_URL", "redis://me:***@127.0.0.1:1/0"),
        ("redis:trades:BTCUSDT", "REDIS_URL", "redis://me:***@127.0.0.1:1/0"),
        ("nats:list", "NATS_URL", "nats://me:***@127.0.0.1:1"),
        ("nats:md.events.>", "NATS_URL", "nats://me:***@127.0.0.1:1"),
    ],
)
def test_an_absent_server_is_one_line_without_its_password(ask: Ask, source: str, variable: str, shown: str) -> None:
    said = ask("tail", source, environ={variable: shown.replace("***", "hunter2")})

    assert 1 == said.code
    assert said.err.startswith(f"marketd: {variable.partition('_')[0].lower()} at {shown} does not answer: ")
    assert said.err.endswith(f"{variable} says where it is\n")
    assert "hunter2" not in said.err
    assert said.err.count("\n") == 1


def test_the_address_may_come_from_a_file_of_variables(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")
    (tmp_path / ".env").write_text("REDIS_URL=redis://127.0.0.1:2/0\n")
    (tmp_path / "other.env").write_text("REDIS_URL=redis://127.0.0.1:3/0\n")

    assert "127.0.0.1:2/0" in ask("tail", "redis:list").err
    assert "127.0.0.1:3/0" in ask("tail", "redis:list", "--env-file", "other.env").err
