"""What the parts show fits the views."""

from pathlib import Path

from marketd.api.latest import Latest
from marketd.api.views import FeedsView, HealthView, LatestView, StoreView
from marketd.clock import ManualClock
from marketd.stores.events import EventStore, EventStoreConfig
from tests.api.conftest import Parts


def test_the_parts_are_views(tmp_path: Path) -> None:
    health: HealthView = Parts()
    feeds: FeedsView = Parts()
    store: StoreView = EventStore(EventStoreConfig(), tmp_path, ManualClock())
    latest: LatestView = Latest()

    assert [health.components(), feeds.pairs(), store, latest]
