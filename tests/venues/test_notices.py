"""What lines say of themselves never reaches the bus, and cannot be changed on its way."""

import msgspec
import pytest

from marketd.model.events import EVENT_TYPES, Event
from marketd.venues import notices
from marketd.venues.notices import Cut, Declined, Lost, Notice
from marketd.venues.venue import Wanted

KINDS = [one for one in vars(notices).values() if isinstance(one, type) and issubclass(one, Notice)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.__name__)
def test_a_notice_is_no_event_says_what_it_means_and_is_frozen(kind: type[Notice]) -> None:
    assert not issubclass(kind, Event)
    assert kind not in EVENT_TYPES
    assert kind.__doc__
    assert kind.__struct_config__.frozen


def test_a_refusal_is_for_good_and_a_loss_asks_for_nothing_unless_said() -> None:
    declined = Declined([Wanted("trade", "BTCUSDT")], "Invalid symbol")

    assert declined.permanent
    assert not Lost("a jump").resubscribe
    with pytest.raises(AttributeError):
        declined.words = "another"  # type: ignore[misc]


def test_equal_words_are_equal_notices() -> None:
    assert Cut("maintenance") == Cut("maintenance")
    assert msgspec.structs.replace(Cut("maintenance"), reason="a day") == Cut("a day")
