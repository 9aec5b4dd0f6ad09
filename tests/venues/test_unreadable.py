"""What a frame that cannot be read, or a loss on the line, costs: only what nothing could prove wrong later."""

from collections.abc import Sequence

import pytest

from marketd.errors import BadFrame, Refused
from marketd.metrics import Metrics
from marketd.model.events import BookSnapshot, Event, Gap, Trade
from marketd.venues import VENUES, venue_named
from marketd.venues.continuity import Continuity, Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Notice
from marketd.venues.venue import Answer, Span, Wanted

TS = 1_700_000_000_000_000_000
BTC, ETH = Wanted("book", "BTCUSD"), Wanted("book", "ETHUSD")


class Asks:
    def repair(self, repair: Repair) -> None:
        """Nothing is asked for here."""

    def notice(self, connection: int, notice: Notice) -> None:
        """Nor said."""


def with_two_books(name: str) -> tuple[Intake, list[Event]]:
    told: list[Event] = []
    intake = Intake(venue_named(name, {}), told.extend, Asks(), Metrics())
    intake.want([BTC, ETH], TS)
    for one in (BTC, ETH):
        snapshot = BookSnapshot(name, one.symbol, TS, TS, [("10.0", "1")], [("11.0", "1")], None)
        intake.take([snapshot], 1, b"", TS)

    assert all(intake.books.is_in_sync(one.symbol) for one in (BTC, ETH))
    told.clear()
    return intake, told


def gaps(told: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.symbol, event.state) for event in told if isinstance(event, Gap)]


def test_where_nothing_numbers_a_book_an_unreadable_frame_starts_the_lines_books_over() -> None:
    intake, told = with_two_books("coinbase")
    intake.bad(BadFrame("coinbase", b"{", "truncated"), [BTC], TS + 1)

    assert gaps(told) == [("BTCUSD", "found")]
    assert intake.books.wants(TS + 1) == {"BTCUSD": "a frame could not be read"}
    assert intake.books.is_in_sync("ETHUSD")


@pytest.mark.parametrize("name", ["bitfinex", "kraken"])
def test_where_a_checksum_tells_nothing_starts_over_before_it_does(name: str) -> None:
    intake, told = with_two_books(name)
    intake.bad(BadFrame(name, b"{", "truncated"), [BTC, ETH], TS + 1)
    intake.lost([BTC, ETH], "the line's numbering jumped", TS + 2)

    assert gaps(told) == []
    assert intake.books.wants(TS + 2) == {}


def test_a_folded_repair_does_not_keep_a_gap_open() -> None:
    asked: list[Repair] = []
    trades = Continuity("bitfinex", False, asked.append)
    trades.seed("BTCUSD", "5", TS)
    trades.lost(["BTCUSD"], "jump", TS + 1)
    trades.lost(["BTCUSD"], "jump", TS + 2)
    trades.folded("BTCUSD")
    ended = trades.repaired("BTCUSD", asked[0].span, "beyond reach", TS + 3)

    assert len(asked) == 2
    assert [event.state for event in ended if isinstance(event, Gap)] == ["unrecoverable"]


def test_a_gap_that_the_ledger_saw_beyond_the_lowest_mark_is_published_once() -> None:
    """One sink is behind the other: the ledger's open gap lies beyond what the repair starts from, and is part of it."""
    asked: list[Repair] = []
    trades = Continuity("binance", True, asked.append)
    trades.seed("BTCUSDT", "10", 1)
    trades.resume("BTCUSDT", Span("15", "18", None, None))
    numbers = range(11, 21)
    first = trades.fetched("BTCUSDT", [trade_of(number) for number in numbers])
    again = trades.fetched("BTCUSDT", [trade_of(number) for number in numbers])

    assert [event.trade_id for event in [*first, *again] if isinstance(event, Trade)] == [str(number) for number in numbers]


def trade_of(number: int) -> Trade:
    return Trade("binance", "BTCUSDT", 1, 2, "1.0", "2.0", "buy", str(number), True)


@pytest.mark.parametrize("name", sorted(VENUES))
@pytest.mark.parametrize("body", [b'{"retMsg":"OK\x8f"', b'{"message":"\xff"}', b"<html>", b"", b"[[[", b'["error",1,"\x80"]'])
def test_a_refusal_that_cannot_be_read_is_a_refusal_all_the_same(name: str, body: bytes) -> None:
    assert isinstance(venue_named(name, {}).read_refusal(Answer(503, {}, body)), Refused)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("binance", b'{"symbols":[{"symbol":"","status":"TRADING","baseAsset":"SOL","quoteAsset":"USDT"}]}'),
        (
            "coinbase",
            b'[{"id":"","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"1","status":"online"}]',
        ),
        ("alpaca", b'[{"symbol":"","tradable":true}]'),
    ],
)
def test_an_instrument_without_a_name_is_none(name: str, body: bytes) -> None:
    assert venue_named(name, {}).read_instruments(Answer(200, {}, body)) == []
