"""Whole columns go where a terminal is narrow; what is shown is never cut."""

import pytest

from marketd.cli.columns import Column, print_columns

NAME = "trades:1000000MOGUSDT"


@pytest.fixture
def columns() -> list[Column]:
    return [
        Column("stream", 0, [NAME, "t"]),
        Column("first", 2, ["2026-11-21 14:00:00", "-"]),
        Column("entries", 1, ["10,000", "1"], is_number=True),
    ]


def test_where_there_is_room_all_columns_stand_in_their_order(
    columns: list[Column], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "51")
    left_out = print_columns(columns)

    assert [] == left_out
    assert [
        "stream                 first                entries",
        "trades:1000000MOGUSDT  2026-11-21 14:00:00   10,000",
        "t                      -                          1",
    ] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("width", "left_out"), [("50", ["first"]), ("30", ["first"]), ("29", ["first", "entries"]), ("5", ["first", "entries"])]
)
def test_the_least_important_goes_first_and_the_name_never(
    columns: list[Column], width: str, left_out: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)

    assert left_out == print_columns(columns)
    assert NAME in capsys.readouterr().out


def test_a_column_that_is_too_wide_leaves_its_room_to_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    assert ["groups"] == print_columns([Column("stream", 0, ["a"]), Column("groups", 1, ["x" * 40]), Column("KiB", 2, ["1"])])
    assert "stream  KiB" in capsys.readouterr().out


def test_signs_that_steer_a_terminal_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns([Column("stream", 0, ["a\x1b[31m"])])

    assert "\x1b" not in capsys.readouterr().out
