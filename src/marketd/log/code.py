"""What the code of a warning or an error tells a person."""

from typing import NamedTuple


class Code(NamedTuple):
    """Half a sentence each, for the table of `docs/operations.md`."""

    cause: str
    effect: str  # on the data
    next: str  # what a person can do
