"""Which flags make a quick start."""

from pathlib import Path

from marketd.config import Flags


def test_a_venue_or_symbols_without_profile_or_file_is_quick() -> None:
    assert Flags(venues="kraken").is_quick
    assert Flags(symbols="BTCUSD").is_quick
    assert not Flags(venues="kraken", profile="api").is_quick
    assert not Flags(venues="kraken", file=Path("x.yaml")).is_quick
    assert not Flags().is_quick
