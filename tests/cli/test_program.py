"""Whatever goes wrong is one line on stderr and an exit code, never a stack trace."""

import tempfile
from pathlib import Path

import pytest

from marketd.cli import program as program_module
from marketd.errors import ConfigError, StartError
from tests.cli.conftest import Ask, Start

COMMANDS = [
    *("demo", "run", "check", "replay", "symbols", "trades", "backfill"),
    *("gaps", "candles", "verify", "backtest", "tail", "sim"),
]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["frob"], 2, ["frob", "--help"]),
        (["run", "--frob"], 2, ["--frob", "marketd run --help"]),
        (["run", "--port", "many"], 2, ["--port", "integer"]),
        (["run", "--profile", "scaner"], 2, ["did you mean scanner?", "allowed:"]),
        (["run", "--roles", "features"], 2, ["role features has no events: set NATS_ENABLED=true"]),
        (["run", "--provider", "binanse"], 2, ["did you mean binance?"]),
        (["run", "--symbols", "BTC/USDT"], 2, ["--symbols", "found 'BTC/USDT'", "did you mean BTCUSDT?"]),
        (["run", "--channels", ""], 2, ["--channels", "found nothing"]),
        (["run", "--symbols", ","], 2, ["--symbols", "found nothing"]),
        (["run", "--channels", "ticks"], 2, ["--channels", "'trade'"]),
        (["run", "--roles", "ingest,nothing"], 2, ["--roles", "'ingest'"]),
        (["run", "--shard", "3/2"], 2, ["--shard", "I/N"]),
        (["run", "-c", "nowhere.yaml"], 2, ["nowhere.yaml"]),
        (["run", "--log-level", "loud"], 2, ["--log-level", "'info'"]),
        (["symbols"], 2, ["--exchange"]),
        (["symbols", "--exchange", "nowhere"], 2, ["--exchange nowhere: unknown venue", "allowed"]),
        (["symbols", "--exchange", "kraken,bybit"], 2, ["--exchange kraken,bybit", "one"]),
        (["trades", "--symbol", "BTCUSDT"], 1, ["market_data.db", "--data-dir"]),
        (["trades", "--symbol", "BTC-USDT"], 2, ["--symbol", "did you mean BTCUSDT?"]),
        (["trades", "--symbol", "BTCUSDT", "--start", "soon"], 2, ["--start", "soon", "ISO"]),
        (["trades", "--symbol", "BTCUSDT", "--format", "xml"], 2, ["--format", "xml", "csv"]),
        (["tail", "nowhere.jsonl"], 1, ["nowhere.jsonl"]),
        (["tail", "x.txt"], 2, [".jsonl"]),
        (["replay", "nowhere.jsonl"], 2, ["nowhere.jsonl"]),
        (["replay", "x", "--speed", "fast"], 2, ["--speed", "fast", "max"]),
        (["sim", "--venue", "nowhere", "--port", "0"], 2, ["nowhere", "allowed"]),
        (["sim", "--faults", "flood", "--port", "0"], 2, ["flood", "allowed"]),
        (["demo", "--faults", "gap:every=often", "--port", "0"], 2, ["every"]),
    ],
)
def test_a_mistake_of_the_user_is_one_line(ask: Ask, words: list[str], code: int, says: list[str]) -> None:
    said = ask(*words)

    assert said.code == code, said.err
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("marketd: ")
    assert [word for word in says if word not in said.err] == [], said.err


def test_a_wrong_config_file_ends_before_anything_starts(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("exchanges: {binance: {simbols: [A]}}")
    said = ask("run")

    assert said.code == 2
    assert "config exchanges.binance.simbols (config.yaml): unknown key (did you mean symbols?)" in said.err
    assert list(tmp_path.iterdir()) == [tmp_path / "config.yaml"]


def test_our_own_mistake_is_one_line_and_a_file_with_the_details(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nats://me:hunter2@host was not expected")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(program_module, "app", broken)
    said = ask("run")
    (details,) = tmp_path.glob("marketd-error-*.log")

    assert said.code == 1
    assert said.err.count("\n") == 1
    assert str(details) in said.err
    assert "Traceback" in details.read_text()
    assert "hunter2" not in said.err + details.read_text()


@pytest.mark.parametrize(("error", "code"), [(ConfigError("a"), 2), (StartError("b"), 1)])
def test_a_fault_within_a_group_of_tasks_is_told_as_itself(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise BaseExceptionGroup("tasks", [ExceptionGroup("inner", [error])])

    monkeypatch.setattr(program_module, "app", fails)
    said = ask("run")

    assert (said.code, said.err) == (code, f"marketd: {error}\n")


def test_every_command_has_help_with_an_example(ask: Ask) -> None:
    for command in COMMANDS:
        said = ask(command, "--help")

        assert said.code == 0
        assert f"marketd {command}" in said.out
        assert "Example" in said.out
    listed = ask("--help").out
    assert [command for command in COMMANDS if command not in listed] == []


def test_a_command_that_is_not_there_is_said_and_starts_nothing(ask: Ask, tmp_path: Path) -> None:
    said = ask("paper")

    assert (2, "") == (said.code, said.out)
    assert "paper" in said.err
    assert [] == list(tmp_path.iterdir())


def test_the_module_is_the_program(start: Start) -> None:
    program = start("--version")

    assert program.wait() == 0
    assert program.said["out"][0].startswith("marketd ")


@pytest.mark.parametrize("loading", ["pydantic", "typer", "marketd.sim.market"])
def test_ctrl_c_while_it_is_being_loaded_ends_it_without_a_word(start: Start, loading: str) -> None:
    program = start("sim", "--port", "0", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    program.wait_for(f" {loading}")
    code = program.end()
    words = [line for line in program.said["err"] if not line.startswith("import time:")]

    assert (code in (0, 1), []) == (True, words)  # 0: it had begun, and stopped in order


def test_the_shell_can_complete(start: Start) -> None:
    program = start(environ={"_MARKETD_COMPLETE": "complete_bash", "COMP_WORDS": "marketd run --profile li", "COMP_CWORD": "3"})
    program.wait()

    assert "live-ingest" in program.said["out"]
