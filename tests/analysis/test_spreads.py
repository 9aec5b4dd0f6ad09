"""What a quote says."""

import pytest

from marketd.analysis.spreads import is_older, spread_of
from tests.samples import quote


def test_mid_and_spread_have_the_digits_of_the_quote_and_no_others() -> None:
    assert spread_of(quote(bid="37123.40", ask="37123.50")) == (37123.45, 0.1, pytest.approx(0.0269371515))
    assert spread_of(quote(bid="0.1", ask="0.1")) == (0.1, 0.0, 0.0)


@pytest.mark.parametrize(("bid", "ask"), [("2", "1"), ("0", "1"), ("1", "0"), ("nan", "1"), ("1", "inf"), ("one", "2")])
def test_what_is_no_market_has_no_middle(bid: str, ask: str) -> None:
    assert spread_of(quote(bid=bid, ask=ask)) == ()


def test_of_one_moment_the_higher_number_is_the_newer_and_without_numbers_the_later() -> None:
    assert is_older(quote(seq=1), quote(seq=2))
    assert not is_older(quote(seq=2), quote(seq=1))
    assert not is_older(quote(seq=None), quote(seq=1))
    assert not is_older(quote(seq=1), None)
