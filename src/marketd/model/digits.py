"""Number text as the venues write it: kept digit for digit, only exponent form is written out."""

from decimal import Decimal, InvalidOperation

DIGITS_MAX = 64  # in one number; no market needs so many, and a store must be bounded


def is_plain(text: str) -> bool:
    """True for unsigned plain decimal text (`12`, `0.50`) of sane length, the only form that events carry."""
    return len(text) <= DIGITS_MAX and text.isascii() and text.replace(".", "", 1).isdecimal()


def plain(text: str) -> str:
    """The same number without exponent or a plus sign; every other digit stays. Raises ValueError if it is no finite number."""
    if is_plain(text):
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > 60 or "_" in text or not text.isascii() or text != text.strip():
        raise ValueError(f"{text!r} is not a finite number of sane size")
    return f"{number:f}"


def number_text(value: object) -> str:
    """The plain text of a number that was decoded losslessly: text, or an int where the venue sent no fraction."""
    if value.__class__ is str:
        if value.isascii() and value.replace(".", "", 1).isdecimal():  # is_plain, without the call
            return value
        return plain(value)
    if value.__class__ is int:
        return str(value)
    raise ValueError(f"expected a number, found {value!r}")


def unsigned(text: str) -> tuple[str, bool]:
    """Split plain signed text into its size and whether it was negative: a sign that means the side is dropped."""
    return (text[1:], True) if text[:1] == "-" else (text, False)


def signed_number(value: object) -> tuple[str, bool]:
    """The plain text of such a number without its sign, and whether it was negative."""
    if value.__class__ is str:
        is_negative = value[:1] == "-"
        text = value[1:] if is_negative else value
        if text.isascii() and text.replace(".", "", 1).isdecimal():  # is_plain, without the call
            return text, is_negative
    return unsigned(number_text(value))
