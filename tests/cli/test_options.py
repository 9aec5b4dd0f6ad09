"""Options complete to what exists."""

from marketd.cli.options import _channels, _profiles, _roles, _venues


def test_lists_complete_their_last_word() -> None:
    assert _venues("binance,byb") == ["binance,bybit"]
    assert _channels("trade,q") == ["trade,quote"]
    assert _roles("ing") == ["ingest"]


def test_profiles_complete() -> None:
    assert _profiles("live") == ["live-ingest"]
