"""Results as JSON and CSV: whole, exact, and the same bytes twice."""

import csv
import io
import json
from decimal import Decimal

from marketd.backtest.forms import COLUMNS, csv_text, json_text
from tests.backtest.markets import made_run


def test_the_same_candles_twice_give_the_same_bytes() -> None:
    one, other = made_run()[1], made_run()[1]

    assert json_text(one) == json_text(other)
    assert csv_text(one) == csv_text(other)


def test_money_is_exact_text_and_adds_up() -> None:
    _, result = made_run()
    found = json.loads(json_text(result))

    assert sum(Decimal(one["profit"]) for one in found["trades"]) == Decimal(found["profit"]) == result.profit
    assert (found["venue"], found["start"], found["cash"]) == ("made", "2023-11-15T00:00:00+00:00", "10000")
    assert len(found["equity_curve"]) == len(result.points)
    assert "points" not in found


def test_csv_has_a_line_for_each_trade() -> None:
    _, result = made_run()
    rows = list(csv.DictReader(io.StringIO(csv_text(result))))

    assert tuple(rows[0]) == COLUMNS
    assert [Decimal(row["profit"]) for row in rows] == [one.profit for one in result.trades]
    assert {row["exit"] for row in rows if not row["closed"]} <= {""}
