"""What `tail` takes for a source, and what it says of anything else."""

from pathlib import Path

import pytest

from tests.cli.conftest import Ask


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.txt"], "tail x.txt: expected redis:KEY, redis:list, nats:SUBJECT, nats:list or a .jsonl file"),
        (["redis:"], "tail redis: names no stream; expected redis:KEY, as redis:trades:BTCUSDT, or redis:list"),
        (["redis:list", "--group", "mine"], "--group mine: the list has no consumer groups; allowed with redis:KEY"),
        (["x.jsonl", "--group", "mine"], "--group mine: a file has no consumer groups; allowed with redis:KEY"),
        (["redis:a", "--consumer", "one"], "--consumer: is a member's name within a group; expected --group NAME beside it"),
    ],
)
def test_a_source_that_is_none_is_one_line(ask: Ask, words: list[str], says: str) -> None:
    said = ask("tail", *words)

    assert (2, f"marketd: {says}\n") == (said.code, said.err)


def test_an_absent_server_is_one_line_without_its_password(ask: Ask) -> None:
    said = ask("tail", "redis:list", environ={"REDIS_URL": "redis://me:hunter2@127.0.0.1:1/0"})

    assert 1 == said.code
    assert said.err.startswith("marketd: redis at redis://me:***@127.0.0.1:1/0 does not answer: ")
    assert said.err.endswith("REDIS_URL says where it is\n")
    assert "hunter2" not in said.err
    assert said.err.count("\n") == 1


def test_the_address_may_come_from_a_file_of_variables(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://127.0.0.1:2/0\n")
    (tmp_path / "other.env").write_text("REDIS_URL=redis://127.0.0.1:3/0\n")

    assert "127.0.0.1:2/0" in ask("tail", "redis:list").err
    assert "127.0.0.1:3/0" in ask("tail", "redis:list", "--env-file", "other.env").err
