"""The parts of the API's own tests, with a count of what was changed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketd.api.state import Changed
from marketd.api.views import Views
from marketd.clock import ManualClock
from tests.api.conftest import Parts as Given
from tests.api.conftest import seen


@dataclass
class Parts(Given):
    changes: int = 0

    async def change(self, venue: str | None, symbols: Sequence[str]) -> Changed:
        self.changes += 1
        return await super().change(venue, symbols)


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
async def views(parts: Parts, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Views]:
    async with seen(parts, tmp_path, clock) as found:
        yield found
