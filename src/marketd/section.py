"""What every room's own part of the configuration is built on."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings of one room: frozen, and an unknown key is an error. The field descriptions become docs/config.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


# Where pydantic tells how it read a text: what a person is to write.
_PLAIN = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
}
_BEFORE = ("Value error, ", "Assertion failed, ", "Input should be ")


def expected_of(kind: str, message: str) -> str:
    """What a failed validation, of pydantic's `kind` and with its message, expected: in plain words."""
    for words in _BEFORE:
        message = message.removeprefix(words)
    return _PLAIN.get(kind, message)
