"""`symbols` asks the venue."""

from tests.cli.conftest import Ask


def test_a_venues_list_is_a_table(ask: Ask, simulated: dict[str, str]) -> None:
    said = ask("symbols", "--exchange", "bybit", environ=simulated)

    assert said.code == 0, said.err
    assert "BTCUSDT" in said.out
    assert said.out.splitlines()[-1].endswith(" symbols")


def test_a_venue_that_does_not_answer_is_one_line(ask: Ask) -> None:
    said = ask("symbols", "--exchange", "binance", environ={"BINANCE_REST_URL": "http://127.0.0.1:1/x"})

    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "127.0.0.1:1" in said.err
