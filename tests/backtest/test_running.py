"""A run: the same twice, in the order of the market, with nothing of the future in it."""

from decimal import Decimal

from marketd.analysis.technical import analyse
from marketd.backtest.running import run
from marketd.model.intervals import Interval
from marketd.paper.account import Account
from marketd.paper.section import PaperConfig
from tests.analysis.candles import walk
from tests.backtest.markets import ANALYSIS, TERMS, at, coin, coins, made_run


def test_the_same_candles_twice_give_the_same() -> None:
    assert made_run()[0] == made_run()[0]


def test_the_order_of_the_coins_does_not_matter() -> None:
    assert run(coins(), ANALYSIS, TERMS) == run(coins()[::-1], ANALYSIS, TERMS)


def test_signals_are_those_of_the_analysis_candle_by_candle() -> None:
    found, _ = made_run()
    wanted = [
        one for stored in coins() for end in range(500, 801) for one in analyse(stored.candles.window(end), ANALYSIS).signals
    ]

    assert sorted(found.signals, key=lambda one: one.id) == sorted(wanted, key=lambda one: one.id)
    assert found.signals


def test_the_account_is_a_fold_over_the_fills() -> None:
    found, _ = made_run()

    assert len(found.fills) > 20
    assert Account.opened(TERMS.cash).folded(found.fills) == found.books.account


def test_what_comes_later_changes_nothing_of_what_was_done() -> None:
    early = run([coin("AAAUSDT", walk(700, 1))], ANALYSIS, TERMS)
    late = run([coin("AAAUSDT", walk(800, 1))], ANALYSIS, TERMS)
    before = [fill for fill in late.fills if fill.ts < at(700)]

    assert early.fills == before
    assert early.points == late.points[: len(early.points)]


def test_entries_are_filled_at_the_open_of_the_next_candle() -> None:
    free = PaperConfig(fee_bps=Decimal(0), spread_bps=Decimal(0), slippage_bps=Decimal(0))
    stored = coin("AAAUSDT", walk(800, 1))
    opens = {one.open_time: one.open for one in stored.prices}
    entries = [fill for fill in run([stored], ANALYSIS, free).fills if fill.why == "entry"]

    assert entries
    assert all(fill.price == opens[fill.ts] for fill in entries)


def test_quotes_are_not_stored_so_that_they_are_not_filled_at() -> None:
    by_quote = TERMS.model_copy(update={"fill": "quote"})

    assert run(coins(), ANALYSIS, by_quote).fills == run(coins(), ANALYSIS, TERMS).fills


def test_only_the_span_is_traded_in() -> None:
    span = Interval(at(650), at(750))
    found = run([coin("AAAUSDT", walk(750, 1), span)], ANALYSIS, TERMS)

    assert [found.points[0].ts, found.points[-1].ts] == [at(651), at(750)]
    assert all(one.open_time in range(at(650), at(750)) for one in found.signals)
    assert found.unsaid == {}


def test_a_hole_silences_until_500_whole_candles_are_there_again() -> None:
    candles = walk(1200, 1)
    del candles[600]
    found = run([coin("AAAUSDT", candles)], ANALYSIS, TERMS)
    times = [signal.open_time for signal in found.signals]

    assert not [time for time in times if at(599) <= time < at(1100)]
    assert [time for time in times if time >= at(1100)]
    assert found.unsaid == {"AAAUSDT": 499 + 1 + 499}  # the one before the hole is proved to be closed too late


def test_each_entry_has_what_the_scanner_said_then() -> None:
    found, _ = made_run()
    entries = {fill.order for fill in found.fills if fill.why == "entry"}

    assert set(found.scores) == entries
    assert all(one.score is not None and one.rank in (1, 2, 3) for one in found.scores.values())


def test_how_far_it_is_is_told() -> None:
    told: list[tuple[int, int]] = []
    run([coin("AAAUSDT", walk(520, 1))], ANALYSIS, TERMS, lambda done, of: told.append((done, of)))

    assert told == [(number, 520) for number in range(1, 521)]


def test_settings_change_what_is_done() -> None:
    calm = run(coins(), ANALYSIS, TERMS.model_copy(update={"rules": ("squeeze_up",)}))

    assert {fill.order.rpartition(":")[2] for fill in calm.fills if fill.why == "entry"} <= {"squeeze_up"}
    assert calm.signals == run(coins(), ANALYSIS, TERMS).signals
