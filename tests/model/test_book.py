"""The book against a naive reference that keys by Decimal and sorts at every look."""

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketd.model.book import CUT_FROM, LEVELS_MAX, MANY, REMOVED_MAX, Book
from marketd.model.digits import DIGITS_MAX
from marketd.model.events import Level

# Few distinct prices, so that changes meet; in several spellings; some that no float can tell apart.
plain_prices = st.sampled_from(["1", "1.0", "1.00", "2", "2.5", "2.50", "3", "0.1", "0.10", "100.25", "9", "10", "11"])
long_prices = st.sampled_from(
    [
        "0.10000000000000000001",
        "0.1000000000000000055511151231257827021181583404541015625",
        "9007199254740993",
        "9007199254740992.0",
    ]
)
sizes = st.sampled_from(["0", "0.0", "0.00000000", "1", "1.50", "0.00000001", "20"])


def sides(prices: st.SearchStrategy[str]) -> st.SearchStrategy[list[Level]]:
    return st.lists(st.tuples(prices, sizes), max_size=12)


def deltas(prices: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[list[Level], list[Level]]]]:
    return st.lists(st.tuples(sides(prices), sides(prices)), max_size=12)


class Reference:
    """What a book is, without any thought of speed."""

    def __init__(self, depth: int | None = None) -> None:
        self.depth = depth
        self.bids: dict[Decimal, Level] = {}
        self.asks: dict[Decimal, Level] = {}

    def apply(self, bids: list[Level], asks: list[Level]) -> None:
        for held, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                if Decimal(size) == 0:
                    held.pop(Decimal(price), None)
                else:
                    held[Decimal(price)] = (price, size)
            if self.depth is not None:
                for key in sorted(held, reverse=held is self.bids)[self.depth :]:
                    del held[key]

    def view(self, depth: int) -> tuple[list[Level], list[Level]]:
        bids = [self.bids[key] for key in sorted(self.bids, reverse=True)]
        asks = [self.asks[key] for key in sorted(self.asks)]
        return bids[:depth], asks[:depth]

    @property
    def is_crossed(self) -> bool:
        return bool(self.bids) and bool(self.asks) and max(self.bids) >= min(self.asks)


@given(deltas(plain_prices | long_prices), st.sampled_from([None, 1, 3, 10]), st.booleans())
def test_a_book_holds_what_the_reference_holds(
    changes: list[tuple[list[Level], list[Level]]], depth: int | None, looks_each_time: bool
) -> None:
    book, reference = Book(depth), Reference(depth)
    for bids, asks in changes:
        book.apply_delta(bids, asks, None)
        reference.apply(bids, asks)
        if looks_each_time:
            assert reference.view(20) == book.view(20)
            assert reference.is_crossed == book.is_crossed

    assert reference.view(20) == book.view(20)
    assert reference.is_crossed == book.is_crossed
    assert len(reference.bids) + len(reference.asks) == len(book)
    bids, asks = reference.view(1)
    assert ((bids or [None])[0], (asks or [None])[0]) == book.best()


@given(deltas(plain_prices), sides(plain_prices), sides(plain_prices), deltas(plain_prices | long_prices))
def test_a_snapshot_replaces_everything(
    before: list[tuple[list[Level], list[Level]]],
    bids: list[Level],
    asks: list[Level],
    after: list[tuple[list[Level], list[Level]]],
) -> None:
    book, reference = Book(), Reference()
    for change in before:
        book.apply_delta(*change, seq=1)
    book.apply_snapshot(bids, asks, seq=7)
    # A snapshot does not repeat a price; where one does, the later word counts, and zero is no level.
    reference.apply([], [])
    for held, levels in ((reference.bids, bids), (reference.asks, asks)):
        for price, size in levels:
            if Decimal(size) != 0:
                held[Decimal(price)] = (price, size)

    assert 7 == book.seq
    assert reference.view(20) == book.view(20)

    for change in after:
        book.apply_delta(*change, seq=8)
        reference.apply(*change)

    assert reference.view(20) == book.view(20)


@given(st.integers(0, 2**32))
def test_a_deep_book_stays_right_while_the_market_walks_through_it(seed: int) -> None:
    chance = random.Random(seed)
    book, reference = Book(), Reference()
    middle = 5_000
    start_bids = [(f"{price / 100:.2f}", "1") for price in range(middle - 400, middle)]
    start_asks = [(f"{price / 100:.2f}", "1") for price in range(middle + 1, middle + 400)]
    book.apply_snapshot(start_bids, start_asks, None)
    reference.apply(start_bids, start_asks)
    for _ in range(60):
        step = chance.randint(-40, 40)
        bids = [(f"{(middle + min(step, 0) + k) / 100:.2f}", "0") for k in range(max(-step, 0))]
        asks = [(f"{(middle + 1 + k) / 100:.2f}", "0.00") for k in range(max(step, 0))]
        middle += step
        bids += [(f"{(middle - chance.randint(0, 300)) / 100:.2f}", str(chance.randint(0, 3))) for _ in range(20)]
        asks += [(f"{(middle + chance.randint(1, 300)) / 100:.2f}", str(chance.randint(0, 3))) for _ in range(20)]
        book.apply_delta(bids, asks, None)
        reference.apply(bids, asks)
        if chance.random() < 0.5:
            assert reference.view(20) == book.view(20)

    assert reference.view(1000) == book.view(1000)


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**20).filter(
            lambda price: len(f"{price:f}") <= DIGITS_MAX
        ),
        min_size=2,
        max_size=8,
        unique=True,
    )
)
def test_distinct_decimals_never_share_a_level(prices: list[Decimal]) -> None:
    book = Book()
    book.apply_delta([], [(f"{price:f}", "1") for price in prices], None)

    assert len(prices) == len(book)
    assert sorted(prices) == [Decimal(price) for price, _ in book.view(20)[1]]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "0.", "0.000000000000000000", "00", "000", "00.0", ".0", "0" * 64])
def test_zero_in_any_spelling_removes_a_level_in_any_spelling(zero: str) -> None:
    book = Book()
    book.apply_delta([("100.0", "1")], [], None)
    book.apply_delta([("100.00", zero)], [], None)

    assert 0 == len(book)


def test_removing_a_level_that_is_not_there_changes_nothing() -> None:
    book = Book()
    book.apply_snapshot([("99", "1")], [("101", "1")], 1)
    book.apply_delta([("98", "0")], [("102", "0.000")], 2)

    assert ([("99", "1")], [("101", "1")]) == book.view(5)


def test_a_locked_book_is_crossed_and_an_empty_side_never_crosses() -> None:
    book = Book()
    book.apply_snapshot([("100.0", "1")], [], 1)

    assert not book.is_crossed

    book.apply_delta([], [("100.00", "1")], 2)

    assert book.is_crossed


def test_clear_forgets_levels_and_sequence() -> None:
    book = Book(depth=2)
    book.apply_snapshot([("1", "1")], [("2", "1")], 5)
    book.apply_delta([("1.5", "1")], [], 6)
    book.clear()

    assert (0, None, (None, None)) == (len(book), book.seq, book.best())


def test_a_level_that_fell_out_of_a_capped_book_does_not_come_back() -> None:
    book = Book(depth=2)
    book.apply_snapshot([("10", "1"), ("9", "1")], [], None)
    book.apply_delta([("11", "1")], [], None)  # 9 falls out; what becomes of it is not told any more
    book.apply_delta([("11", "0"), ("8", "1")], [], None)

    assert ([("10", "1"), ("8", "1")], []) == book.view(2)


def test_a_book_is_thin_when_its_best_levels_near_the_end_of_a_cut_snapshot() -> None:
    book = Book()
    bids = [(str(price), "1") for price in range(10_000, 10_000 - CUT_FROM, -1)]
    book.apply_snapshot(bids, [("10001", "1")], 1)

    assert not book.is_thin(20)

    # The market falls to where levels that never changed were never told; what is told there is kept all the same.
    book.apply_delta([(price, "0") for price, _ in bids] + [(str(price), "2") for price in range(8_000, 7_800, -1)], [], 2)

    assert book.is_thin(20)
    assert ("8000", "2") == book.best()[0]


def test_a_short_snapshot_is_the_whole_book_and_never_thin() -> None:
    book = Book()
    book.apply_snapshot([("10", "1")], [("11", "1")], 1)
    book.apply_delta([("1", "1")], [], 2)

    assert not book.is_thin(20)
    assert 3 == len(book)


def test_how_near_the_end_of_a_cut_snapshot_is_depends_on_how_deep_one_looks() -> None:
    book = Book()
    bids = [(str(price), "1") for price in range(10_000, 10_000 - CUT_FROM, -1)]
    book.apply_snapshot(bids, [], 1)
    book.apply_delta([(price, "0") for price, _ in bids[: CUT_FROM // 2]], [], 2)

    assert not book.is_thin(CUT_FROM // 4)
    assert book.is_thin(CUT_FROM // 2)


def test_a_long_snapshot_of_a_venue_that_does_not_cut_ends_where_the_book_ends_until_it_is_pruned() -> None:
    book = Book(is_cut=False)
    bids = [(str(price), "1") for price in range(50_000, 50_000 - CUT_FROM, -1)]
    book.apply_snapshot(bids, [], None)
    book.apply_delta([(price, "0") for price, _ in bids[:-1]], [], None)

    assert not book.is_thin(20)

    bids = [(str(price), "1") for price in range(50_000, 50_000 - LEVELS_MAX - 1, -1)]
    book.apply_snapshot(bids, [], None)
    book.apply_delta([(price, "0") for price, _ in bids[: LEVELS_MAX * 4 // 5 - 50]], [], None)

    assert book.is_thin(20)


def test_a_book_never_holds_more_than_its_bound_and_counts_what_it_let_go() -> None:
    book = Book()
    for start in range(0, 3 * LEVELS_MAX, 100):
        book.apply_delta([], [(str(start + k + 1), "1") for k in range(100)], start)

    assert len(book) <= LEVELS_MAX
    assert 3 * LEVELS_MAX - len(book) == book.pruned
    assert [(str(k + 1), "1") for k in range(30)] == book.view(30)[1]


def test_removed_levels_are_let_go_in_time_and_never_counted() -> None:
    book = Book()
    for start in range(0, 3 * LEVELS_MAX, 100):
        book.apply_delta([(str(start + k + 1), "1") for k in range(100)], [], None)
        book.apply_delta([(str(start + k + 1), "0.0") for k in range(100)], [], None)

        assert 0 == len(book)
        assert len(book._bids.prices) <= LEVELS_MAX + REMOVED_MAX

    assert 0 == book.pruned


@given(st.integers(0, 2**32), st.sampled_from([None, 25]))
@settings(max_examples=20)
def test_a_change_of_many_levels_is_worth_as_much_as_a_small_one(seed: int, depth: int | None) -> None:
    chance = random.Random(seed)
    book, reference = Book(depth), Reference(depth)
    for _ in range(4):
        bids, asks = (
            [
                (chance.choice(["{:d}", "{:.1f}", "0{:.2f}"]).format(price), chance.choice(["0", "0.0", "1", "2"]))
                for price in chance.choices(range(2_000), k=chance.choice([5, MANY + 100]))
            ]
            for _ in "ba"
        )
        book.apply_delta(bids, asks, None)
        reference.apply(bids, asks)

        assert reference.view(3_000) == book.view(3_000)
        assert len(reference.bids) + len(reference.asks) == len(book)


def test_the_last_of_two_spellings_in_one_change_counts() -> None:
    book = Book()
    book.apply_delta([("7.0", "1")], [], None)
    book.apply_delta([("7", "2"), ("7.00", "3"), ("7.0", "4")], [("8", "1"), ("8.0", "0")], None)

    assert ([("7.0", "4")], []) == book.view(5)


@pytest.mark.parametrize("price", ["", ".", "1e5", "-1", "1_000", " 1", "1.2.3", "nan", "1" * 65, "\u0661"])
def test_a_price_that_is_no_plain_number_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match="no price"):
        Book().apply_delta([(price, "1")], [], None)
    with pytest.raises(ValueError, match="no price"):
        Book(10).apply_snapshot([], [(price, "1")], None)
