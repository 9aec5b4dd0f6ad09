"""What the books say of themselves."""

from decimal import Decimal as D

from marketd.model.paper import Seen
from marketd.paper.account import Account
from marketd.paper.books import Books, Step


def test_marks_are_the_last_closes() -> None:
    books = Books(Account.opened(D(1)), seen={"BTCUSDT": Seen(0, D(5))})

    assert books.marks == {"BTCUSDT": D(5)}


def test_a_step_that_changed_nothing_is_empty() -> None:
    books = Books(Account.opened(D(1)))

    assert Step(books, [], [], [], {}, ["said"]).is_empty
    assert not Step(books, [], [], [], {"BTCUSDT": Seen(0, D(5))}, []).is_empty
