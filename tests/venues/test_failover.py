"""When a backup takes over, when it may not, and when it hands back: on a clock that the test moves."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Status
from marketd.venues.failover import HOLD_DOWN_S, Failover, Gate
from marketd.venues.section import FailoverConfig
from marketd.venues.stream import Stream
from marketd.venues.venue import Wanted
from tests.samples import trade

BTC = Wanted("trade", "BTCUSDT")


class FeedStandIn:
    """As much of a feed as is judged."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.venue = SimpleNamespace(name=name)
        self.stream = Stream(BTC, clock.now_ns())
        self.bad = 0.0
        self.intake = SimpleNamespace(streams={BTC: self.stream}, bad_ratio=lambda: self.bad)
        self.mute = False
        self.lag_ns, self.price = 0, "100"
        self._clock = clock

    def speak(self) -> None:
        if not self.mute:
            self.stream.cadence.count += 1
            self.stream.cadence.last_ns = self._clock.now_ns()
            self.stream.lag_ns, self.stream.price = self.lag_ns, self.price


class Pair:
    """A primary, its backup, and who publishes."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.published: list[Event] = []
        self.primary, self.backup = FeedStandIn("binance", self.clock), FeedStandIn("bybit", self.clock)
        self.gate = Gate(self.published.extend)
        config = FailoverConfig(silence_s=15.0, recovery_s=60.0, **settings)
        feeds: Any = (self.primary, self.backup)
        self.failover = Failover(*feeds, self.gate, self.published.extend, config, self.clock, Metrics())

    async def live(self, seconds: int) -> None:
        """So many seconds pass; who is not mute speaks in each; each is judged."""
        for _ in range(seconds):
            await self.clock.advance(1.0)
            self.primary.speak()
            self.backup.speak()
            self.failover.judge()

    @property
    def active(self) -> str:
        return self.failover.active.venue.name

    @property
    def switches(self) -> Sequence[tuple[str, str]]:
        return [(one.venue, one.reason) for one in self.published if isinstance(one, Status) and one.state == "switched"]


async def test_a_well_primary_is_never_left() -> None:
    pair = Pair()
    await pair.live(600)

    assert (pair.active, pair.switches) == ("binance", [])


async def test_the_backups_events_pass_only_while_it_is_active() -> None:
    pair = Pair()
    pair.gate.publish([trade(1)])
    pair.gate.is_open = True
    pair.gate.publish([trade(2)])

    assert pair.published == [trade(2)]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"mute": True}, "binance: no data for 16 s"),
        ({"lag_ns": 8_000_000_000}, "binance: data is 8 s late"),
        ({"bad": 0.5}, "binance: 50% of its frames are not understood"),
    ],
)
async def test_each_trouble_of_the_primary_hands_over_with_its_words(trouble: dict[str, Any], words: str) -> None:
    pair = Pair()
    await pair.live(60)
    vars(pair.primary).update(trouble)
    await pair.live(20)

    assert pair.active == "bybit"
    assert pair.switches == [("bybit", words)]
    assert [(to, why) for _, to, why in pair.failover.history] == [("bybit", words)]


async def test_it_hands_back_only_after_the_primary_was_well_without_a_break() -> None:
    pair = Pair()
    await pair.live(60)
    pair.primary.mute = True
    await pair.live(30)
    pair.primary.mute = False
    await pair.live(50)
    pair.primary.bad = 0.9
    await pair.live(1)
    pair.primary.bad = 0.0
    await pair.live(59)
    assert pair.active == "bybit"
    await pair.live(3)

    assert pair.active == "binance"
    assert pair.switches[-1] == ("binance", "binance has been well for 60 s")


async def test_after_handing_back_it_does_not_take_over_again_at_once() -> None:
    pair = Pair()
    await pair.live(60)
    pair.primary.bad = 0.9
    await pair.live(1)
    pair.primary.bad = 0.0
    await pair.live(62)
    assert pair.active == "binance"
    pair.primary.bad = 0.9
    await pair.live(int(HOLD_DOWN_S) - 5)
    assert pair.active == "binance"
    await pair.live(10)

    assert pair.active == "bybit"
    assert len(pair.switches) == 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"mute": True}, "no data for"),
        ({"lag_ns": 9_000_000_000}, "data is 9 s late"),
        ({"bad": 0.2}, "20% of its frames"),
        ({"price": "103"}, "BTCUSDT is 100 at binance, 103 at bybit"),
        ({"price": "97"}, "BTCUSDT is 100 at binance, 97 at bybit"),
    ],
)
async def test_a_backup_that_is_not_to_be_trusted_does_not_take_over_until_it_is(trouble: dict[str, Any], words: str) -> None:
    pair = Pair()
    await pair.live(30)
    well = {name: getattr(pair.backup, name) for name in trouble}
    vars(pair.backup).update(trouble)
    pair.primary.mute = True
    await pair.live(40)
    refusal = pair.failover.refusal
    assert pair.active == "binance"
    assert refusal is not None
    assert words in refusal
    vars(pair.backup).update(well)
    await pair.live(2)

    assert pair.active == "bybit"
    assert pair.failover.refusal is None


async def test_a_small_difference_in_price_is_no_reason_to_refuse() -> None:
    pair = Pair()
    pair.backup.price = "101.9"
    await pair.live(30)
    pair.primary.mute = True
    await pair.live(20)

    assert pair.active == "bybit"


async def test_a_refusal_is_forgotten_when_the_primary_is_well_again() -> None:
    pair = Pair()
    pair.backup.price = "200"
    await pair.live(30)
    pair.primary.mute = True
    await pair.live(20)
    assert pair.failover.refusal is not None
    pair.primary.mute = False
    await pair.live(1)

    assert pair.failover.refusal is None


async def test_a_primary_that_never_says_anything_is_stood_in_for_in_the_end() -> None:
    pair = Pair()
    pair.primary.mute = True
    await pair.live(14)
    assert pair.active == "binance"
    await pair.live(200)

    assert pair.active == "bybit"
    assert pair.switches == [("bybit", "binance: no data yet")]


async def test_the_history_keeps_the_newest_switches() -> None:
    pair = Pair()
    await pair.live(20)
    for number in range(150):
        pair.failover._switch(pair.failover.backup, f"switch {number}", True)

    assert [why for _, _, why in pair.failover.history] == [f"switch {number}" for number in range(50, 150)]
