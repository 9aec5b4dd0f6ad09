"""The engine says what a plain rescan of everything that came says, whatever comes, in whatever order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.analysis.features import Engine
from marketd.analysis.payloads import Signal
from marketd.analysis.section import FeaturesConfig
from marketd.model.events import SYSTEM, Event, Quote, Status, Trade
from marketd.venues import VENUES
from tests.analysis.reference import S, as_of, differences, is_usable, moment
from tests.samples import MS, T0
from tests.venues.recorded_sessions import frames_of, instruments_of

PRICES = st.one_of(
    st.integers(9_900, 10_100).map(lambda cents: f"{cents / 100:.2f}"),
    st.sampled_from(["0.00000001", "123456789012.12345678", "37123.45000000", "1", "99999.99"]),
)
SIZES = st.one_of(
    st.integers(1, 10**9).map(lambda units: f"{units / 1e8:.8f}"),
    st.sampled_from(["0.00000001", "900000000000", "1.5", "0"]),
)
# Most steps are small; some land exactly on the edges of the windows, some go back.
STEPS_MS = st.one_of(st.integers(0, 3_000), st.sampled_from([0, 0, 1, 9_999, 10_000, 10_001, 59_999, 60_000, -1, -500, -9_000]))


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    t, prefix = T0, draw(st.sampled_from(["", "t"]))  # a venue's ids are numbers or they are not
    for number in range(draw(st.integers(1, 25))):
        t += draw(STEPS_MS) * MS
        recv = t + draw(st.integers(-1_500, 2_500)) * MS // 7
        if draw(st.booleans()) and draw(st.booleans()):
            bid, wide = draw(st.integers(9_900, 10_100)), draw(st.sampled_from([0, 1, 3, -1]))
            at, seq = draw(st.sampled_from([None, t])), number if prefix else None
            events.append(Quote("v", "BTC", at, recv, f"{bid / 100:.2f}", "1", f"{(bid + wide) / 100:.2f}", "1", seq))
        else:
            is_repaired = draw(st.integers(0, 9)) == 0
            events.append(Trade("v", "BTC", t, recv, draw(PRICES), draw(SIZES), None, f"{prefix}{number}", is_repaired))
    again = draw(st.lists(st.sampled_from(events), max_size=5))
    for one in again:
        events.insert(draw(st.integers(0, len(events))), one)
    return events


@dataclass
class Accepted:
    """What an engine may look at: the events that were not older than the window when they came."""

    window_s: float
    events: list[Event] = field(default_factory=list)
    now: int | None = None
    late: int = 0
    unusable: int = 0

    def take(self, event: Event) -> None:
        t = moment(event)
        if not is_usable(event):
            self.unusable += 1
            return
        if self.now is not None and t <= self.now - min(60, self.window_s) * S:
            self.late += 1
            return
        self.events.append(event)
        self.now = t if self.now is None else max(self.now, t)


def engine_of(window_s: float = 60, **config: object) -> Engine:
    return Engine(FeaturesConfig.model_validate({"window_s": window_s, **config}))


def values_of(engine: Engine, symbol: str = "BTC") -> object:
    features = engine.features(symbol)
    return None if features is None else features.features


@given(sessions(), st.sampled_from([60, 60, 3, 15, 600]), st.lists(st.integers(0, 24), max_size=3))
def test_after_every_event_the_features_are_those_of_a_rescan(events: list[Event], window_s: float, ahead: list[int]) -> None:
    engine, accepted = engine_of(window_s), Accepted(window_s)
    for place in ahead:
        t = moment(events[place % len(events)]) + 30 * S
        events.insert(place, msgspec.structs.replace(events[place % len(events)], ts_event=t, ts_recv=t - 60 * S - 1))
    for event in events:
        engine.take(event)
        accepted.take(event)

        assert differences(values_of(engine), as_of(accepted.events, window_s)) == {}
        quality = engine.features("BTC").quality  # type: ignore[union-attr]
        assert (quality.late, quality.unusable) == (accepted.late, accepted.unusable)


@given(sessions(), st.integers(1, 10))
def test_asking_seldom_gives_what_asking_often_gives(events: list[Event], pause: int) -> None:
    seldom, often = engine_of(), engine_of()
    for number, event in enumerate(events):
        seldom.take(event)
        often.take(event)
        often.features("BTC")
        if number % pause == 0:
            assert seldom.features("BTC") == often.features("BTC")
    assert seldom.features("BTC") == often.features("BTC")
    assert seldom.drain() == often.drain()


@given(sessions(), st.randoms(use_true_random=False))
def test_within_the_window_the_order_of_coming_does_not_matter(events: list[Event], chance: random.Random) -> None:
    newest = max(map(moment, events))
    whole = {moment(one): one for one in events if moment(one) > newest - 60 * S}  # one a moment: ties are by id or arrival
    shuffled = list(whole.values())
    chance.shuffle(shuffled)
    one, other = engine_of(), engine_of()
    one.take_all(whole.values())
    other.take_all(shuffled)

    assert values_of(one) == values_of(other)


@given(sessions(), sessions(), st.integers(0, 40))
def test_a_switch_starts_anew_and_the_other_venue_is_not_looked_at(first: list[Event], second: list[Event], at: int) -> None:
    engine, accepted = engine_of(), Accepted(60)
    theirs = [msgspec.structs.replace(event, venue="w") for event in second]
    engine.take_all(first[:1])
    for mine, other in zip(first[:at], theirs, strict=False):
        engine.take_all((mine, other))
    engine.take(Status("w", SYSTEM, None, T0, "switched", "v: no data for 15 s"))
    for event in theirs:
        engine.take_all((event, *first[:1]))
        accepted.take(event)

        assert differences(values_of(engine), as_of(accepted.events)) == {}


def made_session(seed: int, seconds: int = 150, rate: int = 40) -> list[Event]:
    """A wandering market: trades and quotes, some late, some again, some out of order."""
    chance = random.Random(seed)
    cents, events = 3_712_345, list[Event]()
    for number in range(seconds * rate):
        t = T0 + number * S // rate + chance.randrange(S // rate)
        recv = t + chance.randrange(1, 40) * MS
        cents += chance.choice((-2, -1, 0, 0, 0, 1, 2))
        if chance.random() < 0.5:
            bid, ask = f"{cents / 100:.2f}000000", f"{(cents + 1) / 100:.2f}000000"
            events.append(Quote("v", "BTC", None, recv, bid, "1.00000000", ask, "2.00000000", number))
        else:
            size = f"{chance.randrange(1, 10**8) / 1e8:.8f}"
            events.append(Trade("v", "BTC", t - t % MS, recv, f"{cents / 100:.2f}000000", size, "buy", str(number)))
    for _ in range(len(events) // 50):
        at = chance.randrange(len(events))
        events.insert(min(len(events), at + chance.randrange(1, 200)), events[at])
        events.insert(min(len(events) - 1, at + chance.randrange(1, 4_000)), events.pop(at))
    return events


def seconds_compared(events: Sequence[Event]) -> int:
    """Take a session; at the end of every second of event time compare with a rescan. How many were compared."""
    engine, accepted, compared, ends = engine_of(), Accepted(60), 0, None
    for event in events:
        if ends is not None and moment(event) >= ends:
            assert differences(values_of(engine, event.symbol), as_of(accepted.events)) == {}
            newest = accepted.now or 0
            accepted.events = [one for one in accepted.events if moment(one) > newest - 120 * S]
            compared, ends = compared + 1, moment(event) - moment(event) % S + S
        elif ends is None:
            ends = moment(event) - moment(event) % S + S
        engine.take(event)
        accepted.take(event)
    return compared


@pytest.mark.parametrize("seed", [1, 2])
def test_a_made_session_is_the_same_at_the_end_of_every_second(seed: int) -> None:
    assert seconds_compared(made_session(seed)) > 140


def events_of(recording: Path) -> list[Event]:
    """What the venue's own decoder makes of a capture: the trades and quotes."""
    line = VENUES["binance"]({}).open_line(instruments_of(recording, "binance"))
    told = [one for frame, ts_recv in frames_of(recording) for one in line.read(frame, ts_recv)]
    return [one for one in told if isinstance(one, Trade | Quote)]


@pytest.mark.recorded("binance/ws/spot_btcusdt_20240808.jsonl.gz")
def test_the_recorded_session_is_the_same_at_the_end_of_every_second(recording: Path) -> None:
    assert seconds_compared(events_of(recording)) > 300


# Invented: 90 seconds of one symbol with a move of 0.4 % up, one down, a trade out of order, one again, and a late one.
SESSION = Path(__file__).with_name("session.jsonl")


def test_our_own_session_is_the_same_at_the_end_of_every_second() -> None:
    assert seconds_compared(events_of(SESSION)) == 89


def test_our_own_session_signals_its_two_moves_and_nothing_else() -> None:
    engine = engine_of()
    engine.take_all(events_of(SESSION))
    found = [(one.direction, (one.ts - T0) / S, one.inputs["return_10s"]) for one in engine.drain() if isinstance(one, Signal)]

    # From 250.00 to 251.00 within two seconds from the 20th on, back from the 60th on; sent again once five seconds later.
    assert found == [
        ("long", 21.649, pytest.approx(250.866 / 250.001 - 1, abs=1e-4)),
        ("long", 26.685, pytest.approx(0.004)),
        ("short", 61.628, pytest.approx(250.135 / 251 - 1, abs=1e-4)),
        ("short", 66.757, pytest.approx(250.01 / 250.99 - 1)),
    ]


def test_our_own_session_counts_what_came_again_and_what_came_too_late() -> None:
    engine = engine_of()
    engine.take_all(events_of(SESSION))
    quality = engine.features("DEMOUSDT").quality  # type: ignore[union-attr]

    assert (quality.duplicates, quality.late, quality.unusable, quality.ok) == (1, 1, 0, True)
