"""Config sections are frozen and know their keys."""

import pytest
from pydantic import ValidationError

from marketd.section import Section


class Shelf(Section):
    boards: int = 3


def test_a_section_refuses_a_key_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="board"):
        Shelf.model_validate({"board": 4})


def test_a_section_never_changes() -> None:
    shelf = Shelf(boards=4)

    with pytest.raises(ValidationError, match="frozen"):
        shelf.boards = 5
