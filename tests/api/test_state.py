"""What is told of the parts is in the answers under the names of the contract."""

import msgspec

from marketd.api.shapes import COMPONENTS
from marketd.api.state import CacheRow, Changed, Component, IngestCounts, SubscriptionRow, VenueRow


def test_every_row_is_described_in_the_schema_with_all_its_keys() -> None:
    for row in (CacheRow, Changed, IngestCounts, SubscriptionRow, VenueRow):
        assert set(row.__struct_fields__) == set(COMPONENTS[row.__name__]["properties"]), row.__name__


def test_a_part_says_what_health_promises() -> None:
    part = Component("ok", True, "fresh data from binance", 1)

    assert b'{"status":"ok","required":true,"reason":"fresh data from binance","since":1}' == msgspec.json.encode(part)
