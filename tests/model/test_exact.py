"""Sums of money are exact or fail; sizes are rounded down and fees half up, and nothing else is."""

from decimal import Decimal as D
from decimal import Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.exact import exact, fee_of, plain, size_for

amounts = st.decimals("0.01", "1000000000", places=8, allow_nan=False)


def test_a_result_that_does_not_fit_fails_instead_of_being_rounded() -> None:
    @exact
    def third() -> D:
        return D(1) / D(3)

    with pytest.raises(Inexact):
        third()

    assert exact(lambda: D("1e200") + D("1e-100"))() > D("1e200")


def test_a_fee_is_rounded_half_up_to_eight_digits() -> None:
    assert [fee_of(D(value), D(1)) for value in ("1", "0.00005", "0.00004999")] == [D("0.0001"), D("0.00000001"), D(0)]


@given(amounts, amounts, st.integers(0, 12))
def test_a_size_is_the_largest_that_the_budget_pays(budget: D, price: D, digits: int) -> None:
    size, unit = size_for(budget, price, digits), D(1).scaleb(-digits)

    assert exact(lambda: size * price <= budget < (size + unit) * price)()


def test_plain_text_has_no_zeros_at_its_end_and_no_exponent() -> None:
    assert [plain(D(text)) for text in ("100", "1.50", "0.000", "1E+3", "1e-9")] == ["100", "1.5", "0", "1000", "0.000000001"]
