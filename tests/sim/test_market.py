"""The live half of a simulated market."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from marketd.sim.history import Trade
from marketd.sim.market import LEVELS, Market
from marketd.sim.symbols import list_symbol
from marketd.sim.venue import BookView

START_MS = 1_750_000_123_456


def build(seed: int = 1, *, shared_ids: bool = False) -> Market:
    return Market("v", [list_symbol("BTCUSDT"), list_symbol("ETHUSDT")], seed, START_MS, shared_ids=shared_ids)


def play(market: Market, count: int) -> Iterator[Trade]:
    for i in range(count):
        _, trade, _ = market.next_event(START_MS + i * 37)
        if trade is not None:
            yield trade


@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_trades(seed: int) -> None:
    assert list(play(build(seed), 200)) == list(play(build(seed), 200))


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_the_book_is_never_crossed_and_never_thins_out(seed: int, count: int) -> None:
    market = build(seed)
    for _ in play(market, count):
        pass
    for state in market:
        book, step = state.book, state.listing.step_ticks
        bids, asks = book.top_bids(LEVELS), book.top_asks(LEVELS)

        assert book.best_bid + step == book.best_ask
        assert (len(book.bids), len(book.asks)) == (LEVELS, LEVELS)
        assert (set(book.bids), set(book.asks)) == (set(bids), set(asks))
        assert min(*bids.values(), *asks.values()) > 0


def test_a_trade_happens_at_the_best_price_of_the_other_side() -> None:
    market = build()
    state = market.symbols["BTCUSDT"]
    for i in range(300):
        bid, ask = state.book.best_bid, state.book.best_ask
        trade = market.trade("BTCUSDT", START_MS + i)

        assert (ask if trade.buy else bid) == trade.ticks


@given(st.integers(0, 2**32))
def test_numbers_go_on_from_the_past_without_a_hole(seed: int) -> None:
    market = build(seed)
    state = market.symbols["BTCUSDT"]
    list(play(market, 100))
    found = state.slice(state.number - 499, 500)

    assert list(range(state.number - 499, state.number + 1)) == [trade.number for trade in found]
    assert sorted(trade.ts_ms for trade in found) == [trade.ts_ms for trade in found]


def test_shared_ids_grow_over_all_symbols() -> None:
    market = build(shared_ids=True)
    ids = [trade.trade_id for trade in play(market, 500)]

    assert sorted(set(ids)) == ids
    state = market.symbols["ETHUSDT"]
    past = [trade.trade_id for trade in state.slice(state.number - 900, 901)]
    assert sorted(set(past)) == past


@given(st.integers(1, 300), st.integers(2, 40))
def test_a_candle_is_the_sum_of_its_trades(count: int, minutes: int) -> None:
    market = build()
    list(play(market, count))
    state = market.symbols["BTCUSDT"]
    end = START_MS // 60_000 * 60_000 + 60_000
    start = end - minutes * 60_000
    trades = [t for t in state.slice(state.number_at(start), 100_000) if t.ts_ms < end]
    bar = state.bar(start, end)

    assert bar is not None
    assert (trades[0].ticks, trades[-1].ticks) == (bar.open, bar.close)
    assert (max(t.ticks for t in trades), min(t.ticks for t in trades)) == (bar.high, bar.low)
    assert (sum(t.lots for t in trades), len(trades)) == (bar.lots, bar.count)
    assert sum(t.lots * t.ticks for t in trades) == bar.notional
    assert trades[0].number == bar.first


def test_number_of_id_finds_live_and_past_trades() -> None:
    market = build(shared_ids=True)
    list(play(market, 50))
    state = market.symbols["BTCUSDT"]
    for number in (1, 7, 100_000, state.number - 200, state.number):
        assert number == state.number_of_id(state.by_number(number).trade_id)


def test_a_jump_moves_the_price_and_stays() -> None:
    market = build()
    state = market.symbols["BTCUSDT"]
    before = state.book.best_bid
    market.jump("BTCUSDT", 30, START_MS)
    state.follow_path(START_MS)

    assert 29 <= (state.book.best_bid - before) * 10_000 / before <= 31


@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(0, 300), st.integers(-60, 60))
def test_a_snapshot_taken_between_two_pushes_joins_the_second(seed: int, before: int, after: int, bps: int) -> None:
    market = build(seed)
    state = market.symbols["BTCUSDT"]
    view = BookView(state.book, LEVELS)
    for _ in play(market, before):
        pass
    market.jump("BTCUSDT", bps, START_MS)
    sides = state.book.top_bids(LEVELS), state.book.top_asks(LEVELS)
    market.jump("BTCUSDT", -bps, START_MS)
    for _ in play(market, after):
        pass
    _, *changes = view.advance(joinable=True)
    for side, change in zip(sides, changes, strict=True):
        for price, lots in change.items():
            if lots:
                side[price] = lots
            else:
                side.pop(price, None)

    assert [sorted(state.book.top_bids(LEVELS).items()), sorted(state.book.top_asks(LEVELS).items())] == [
        sorted(side.items()) for side in sides
    ]
