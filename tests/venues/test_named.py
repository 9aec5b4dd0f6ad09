"""Which name stands for which venue, ours and those that other packages bring."""

from collections.abc import AsyncIterator, Sequence
from importlib.metadata import EntryPoint

import pytest

from marketd import venues
from marketd.errors import ConfigError
from marketd.model.events import Channel, Event
from marketd.venues import VENUES, known_venues, source_named, venue_named
from marketd.venues.binance import Binance
from marketd.venues.provider import MarketDataProvider


class Ticker(MarketDataProvider):
    """A source of its own kind."""

    name = "ticker"

    async def connect(self) -> None: ...

    async def subscribe(self, symbols: Sequence[str], channels: Sequence[Channel]) -> None: ...

    def stream(self) -> AsyncIterator[Event]:
        raise NotImplementedError

    async def close(self) -> None: ...


class Elsewhere(Binance):
    """A venue that another package brings."""

    name = "elsewhere"


@pytest.fixture
def _brought(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        EntryPoint(one, f"{__name__}:{kind}", venues.GROUP) for one, kind in [("ticker", "Ticker"), ("elsewhere", "Elsewhere")]
    ]
    kinds = {"ticker": Ticker, "elsewhere": Elsewhere}
    monkeypatch.setattr(venues, "entry_points", lambda group: found)
    monkeypatch.setattr(EntryPoint, "load", lambda self: kinds[self.name])


@pytest.mark.parametrize("name", sorted(VENUES))
def test_each_of_ours_is_built_under_its_name(name: str) -> None:
    assert venue_named(name, {}).name == name


@pytest.mark.parametrize(("typed", "meant"), [("binanse", "binance"), ("krakn", "kraken"), ("coinbse", "coinbase")])
def test_a_name_that_is_none_is_answered_with_the_nearest_and_with_all(typed: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"no venue '{typed}'; did you mean '{meant}'\\? Known: alpaca, binance"):
        source_named(typed, {})


def test_a_name_near_nothing_gets_no_guess() -> None:
    with pytest.raises(ConfigError, match=r"no venue 'zzzzzz'\. Known: "):
        venue_named("zzzzzz", {})


@pytest.mark.usefixtures("_brought")
def test_what_other_packages_bring_comes_after_ours_and_is_built() -> None:
    assert known_venues() == [*VENUES, "elsewhere", "ticker"]
    assert isinstance(source_named("elsewhere", {}), Elsewhere)
    assert isinstance(source_named("ticker", {}), Ticker)
    with pytest.raises(ConfigError, match="ticker is a provider of its own kind"):
        venue_named("ticker", {})


@pytest.mark.usefixtures("_brought")
def test_a_near_name_may_be_one_that_another_package_brings() -> None:
    with pytest.raises(ConfigError, match="did you mean 'elsewhere'"):
        source_named("elsewere", {})
