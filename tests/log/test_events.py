"""Events of the log lead to codes that exist."""

from marketd.log import CODES
from marketd.log.events import BY_EVENT, code_of


def test_events_lead_to_codes_that_exist() -> None:
    assert set(BY_EVENT.values()) <= set(CODES)
    assert code_of("kraken.reconnecting") == "feed-reconnecting"
    assert code_of("kraken.connected") is None
