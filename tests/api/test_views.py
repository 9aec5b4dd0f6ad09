"""What the parts show fits the views."""

from marketd.api.latest import Latest
from marketd.api.views import FeedsView, HealthView, LatestView, StoreView
from tests.api.conftest import Parts, Shelf


def test_the_parts_that_the_tests_move_are_views() -> None:
    health: HealthView = Parts()
    feeds: FeedsView = Parts()
    store: StoreView = Shelf()
    latest: LatestView = Latest()

    assert [health.components(), feeds.pairs(), store, latest]
