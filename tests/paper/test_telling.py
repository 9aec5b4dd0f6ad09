"""The lines that a person reads of each decision."""

from decimal import Decimal as D

from marketd.model.paper import Fill, Order
from marketd.paper.telling import line_of, note_of

ORDER = Order("a", "sim", "BTCUSDT", "buy", "entry", 5, None, "long by ribbon_up")
FILL = Fill("a", "sim", "BTCUSDT", "buy", "entry", D("64250.10"), D("0.155000"), D("9.96"), 5, None, D("62322.597"), D("68105.1"))


def test_a_fill_is_told_with_price_size_fee_and_levels() -> None:
    assert line_of(ORDER, FILL) == (
        "paper: bought 0.155 BTCUSDT at 64250.1, fee 9.96, stop 62322.597, take-profit 68105.1 (opens: long by ribbon_up)"
    )


def test_a_close_is_told_with_its_reason() -> None:
    order = Order("a:exit", "sim", "BTCUSDT", "sell", "stop", 9, None, "stop at 90")
    fill = Fill("a:exit", "sim", "BTCUSDT", "sell", "stop", D("89.9"), D(1), D(0), 9, closes="a")

    assert line_of(order, fill) == "paper: sold 1 BTCUSDT at 89.9, fee 0 (stop: stop at 90)"
    assert note_of(order, fill).type == "trade"


def test_refusals_that_the_data_cause_are_errors() -> None:
    refused = [Order("a", "sim", "BTCUSDT", "buy", "entry", 5, why, "so") for why in ("cooldown", "doubtful")]  # type: ignore[arg-type]
    notes = [note_of(one, None) for one in refused]

    assert [one.type for one in notes] == ["trade", "error"]
    assert notes[0].summary == "paper: did not buy BTCUSDT, cooldown: so"
    assert notes[0].channel == "paper:BTCUSDT"
