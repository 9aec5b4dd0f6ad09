"""Identities: the same for the same event however it reached us, different for different ones."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import AnyEvent, BookL2, Candle, Quote, Trade
from marketd.model.identity import identity
from marketd.model.wire import decode, encode
from tests.model.strategies import book_views, candles, events, quotes, times, trades


@given(trades)
def test_a_trade_is_its_venue_symbol_and_id(trade: Trade) -> None:
    assert f"{trade.venue}:trade:{trade.symbol}:{trade.trade_id}" == identity(trade)


@given(candles)
def test_a_candle_is_its_place_and_revision(candle: Candle) -> None:
    expected = f"{candle.venue}:candle:{candle.symbol}:{candle.timeframe}:{candle.open_time}:{candle.revision}"

    assert expected == identity(candle)


@given(st.one_of(trades, candles, quotes, book_views), times)
def test_when_we_received_it_does_not_matter(event: AnyEvent, ts_recv: int) -> None:
    assert identity(event) == identity(msgspec.structs.replace(event, ts_recv=ts_recv))


@given(events)
def test_identity_survives_the_wire(event: AnyEvent) -> None:
    assert identity(event) == identity(decode(encode(event)))


@given(quotes, quotes)
def test_quotes_without_an_update_id_differ_by_what_they_say(one: Quote, other: Quote) -> None:
    one, other = msgspec.structs.replace(one, seq=None), msgspec.structs.replace(other, seq=None)
    same = (one.venue, one.symbol, one.ts_event, one.bid, one.bid_size, one.ask, one.ask_size) == (
        other.venue,
        other.symbol,
        other.ts_event,
        other.bid,
        other.bid_size,
        other.ask,
        other.ask_size,
    )

    assert same == (identity(one) == identity(other))


@given(book_views)
def test_a_book_does_not_care_how_its_levels_are_held(view: BookL2) -> None:
    view = msgspec.structs.replace(view, seq=None)
    as_lists = msgspec.structs.replace(view, bids=tuple(list(level) for level in view.bids), asks=list(view.asks))

    assert identity(view) == identity(as_lists)
