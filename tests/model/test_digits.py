"""Number text keeps its digits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.digits import is_plain, number_text, plain, signed_number, unsigned
from tests.model.strategies import digits


@given(digits)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert is_plain(text)
    assert text == plain(text) == number_text(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e20"), max_value=Decimal("1e20"), places=18))
def test_exponents_are_written_out_without_losing_a_digit(number: Decimal) -> None:
    text = plain(f"{number:e}")

    assert "e" not in text.lower()
    assert number == Decimal(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1e-7", "0.0000001"), ("1.50E+2", "150"), ("+0.50", "0.50"), ("-0.50", "-0.50"), ("1e3", "1000")]
)
def test_other_forms_become_plain(text: str, expected: str) -> None:
    assert expected == plain(text)


@pytest.mark.parametrize("text", ["", " 1", "1_000", "nan", "Infinity", "-inf", "1,5", "0x10", "1e999999", "1e-999999", "１２"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        plain(text)


@pytest.mark.parametrize("value", [None, 1.5, True, [1]])
def test_only_what_was_decoded_without_loss_is_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        number_text(value)


def test_a_sign_is_taken_apart_from_the_size() -> None:
    assert [("0.5", True), ("0.5", False)] == [unsigned("-0.5"), unsigned("0.5")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-0.50", ("0.50", True)),
        ("0.50", ("0.50", False)),
        (-3, ("3", True)),
        (0, ("0", False)),
        ("-2.8e-7", ("0.00000028", True)),
    ],
)
def test_a_signed_number_is_its_plain_text_and_its_sign(value: object, expected: tuple[str, bool]) -> None:
    assert expected == signed_number(value)


@pytest.mark.parametrize("value", ["-", "--", "", None, -1.5])
def test_what_is_no_signed_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        signed_number(value)
