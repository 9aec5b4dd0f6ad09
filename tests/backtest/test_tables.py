"""What a person reads in the terminal."""

from decimal import Decimal

import msgspec

from marketd.backtest.tables import TRADES_MAX, minute, money, notes_of, price, summary_of, tables_text
from tests.analysis.candles import T0, walk
from tests.backtest.markets import coin, made_run


def test_the_tables_show_what_came_of_it() -> None:
    _, result = made_run()
    text = tables_text(result)

    assert "on paper only" in text
    assert f"the last {TRADES_MAX} of {len(result.trades)} trades" in text
    assert all(one.symbol in text for one in result.coins)
    assert max(map(len, text.splitlines())) <= 200
    assert tables_text(made_run()[1]) == text


def test_without_a_trade_nothing_is_divided() -> None:
    _, result = made_run([coin("AAAUSDT", walk(501, 1))])

    assert dict(summary_of(result))["profit factor"] == "no trade was closed"
    assert "none" in tables_text(result)
    assert ", 1 coin, " in dict(summary_of(result))["back-test"]


def test_what_is_missing_is_named() -> None:
    candles = walk(1200, 1)
    del candles[700:702]
    _, result = made_run([coin("AAAUSDT", candles)])
    notes = notes_of(msgspec.structs.replace(result, left_out={"ZZZUSDT": "3 candles"}))

    assert notes[0] == "ZZZUSDT was left out: 3 candles"
    assert notes[1] == "AAAUSDT: candles are missing from 2023-12-14T04:00:00+00:00 to 2023-12-14T06:00:00+00:00"
    assert "no signals at" in notes[2]


def test_numbers_are_short_and_say_something() -> None:
    assert [money(Decimal(text)) for text in ("0", "1234.567", "-0.5", "0.00012")] == ["0.00", "1,234.57", "-0.50", "0.00012000"]
    assert [price(Decimal(text)) for text in ("37123.4567", "1.5", "0.00001234")] == ["37,123.46", "1.500000", "0.00001234000"]
    assert minute(T0) == "2023-11-15 00:00"
