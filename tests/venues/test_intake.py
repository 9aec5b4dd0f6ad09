"""From what a line read to what the bus gets."""

import pytest

from marketd.errors import BadFrame
from marketd.metrics import Metrics
from marketd.model.events import BookDelta, BookL2, BookSnapshot, Candle, Event, Gap, Quote, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.net.quarantine import Quarantine
from marketd.venues import VENUES
from marketd.venues.continuity import Repair
from marketd.venues.intake import KINDS_MAX, SHOWN_MAX, Intake
from marketd.venues.notices import Acked, LastTrade, Lost, Notice, Overlap, Unknown, Unsaid
from marketd.venues.venue import Wanted

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
BTC = "BTCUSDT"
WANTED = [Wanted("trade", BTC), Wanted("quote", BTC), Wanted("book", BTC), Wanted("candle", BTC, "1m")]
NUMBERED, TOLD_APART, BY_STREAM = "binance", "bybit", "bybit"


class Room:
    """An intake and all that comes out of it."""

    def __init__(self, name: str = NUMBERED, wanted: list[Wanted] | None = None, **settings: object) -> None:
        self.events: list[Event] = []
        self.repairs: list[Repair] = []
        self.notices: list[tuple[int, Notice]] = []
        self.metrics = Metrics()
        self.intake = Intake(VENUES[name]({}), self.events.extend, self, self.metrics, **settings)  # type: ignore[arg-type]
        self.intake.instruments = Instruments([Instrument(name, BTC, BTC, "BTC", "USDT")])
        self.intake.want(WANTED if wanted is None else wanted, T0)
        self.name = name

    def repair(self, repair: Repair) -> None:
        self.repairs.append(repair)

    def notice(self, connection: int, notice: Notice) -> None:
        self.notices.append((connection, notice))

    def take(self, *items: Event | Notice, connection: int = 1, at: int = T0) -> list[Event]:
        before = len(self.events)
        self.intake.take(items, connection, b"{}", at)
        return self.events[before:]

    def count(self, counter: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"{counter}_total", {"venue": self.name, **labels}) or 0.0


def trade(number: int | str, **more: object) -> Trade:
    fields: dict[str, object] = {"price": "10", "size": "1", "symbol": BTC, "ts_event": T0, **more}
    return Trade("v", fields["symbol"], fields["ts_event"], T0, fields["price"], fields["size"], "buy", str(number))  # type: ignore[arg-type]


def quote(seq: int | None, bid: str = "9") -> Quote:
    return Quote("v", BTC, None, T0, bid, "1", "11", "1", seq)


def candle(close: str = "10") -> Candle:
    return Candle("v", BTC, T0, T0, "1m", T0, T0 + 60 * SECOND, "10", "10", "10", close, "1", False)


def test_each_kind_goes_to_the_bus_as_it_is() -> None:
    room = Room()

    assert [trade(1), quote(1), candle()] == room.take(trade(1), quote(1), candle())
    assert T0 == room.intake.last_ns == room.intake.published_ns


def test_what_nobody_asked_for_is_counted_and_left_out() -> None:
    room = Room(wanted=[])

    assert [] == room.take(trade(1), quote(1), candle(), BookDelta("v", BTC, T0, T0, [], [], 1, 0))
    assert 4 == room.count("marketd_frames_bad", reason="not subscribed")


@pytest.mark.parametrize(
    "event", [trade(1, price="NaN"), trade(1, size="-1"), trade(1, ts_event=T0 + 7200 * SECOND), trade("x7"), candle("9")]
)
def test_what_cannot_be_is_kept_aside_with_its_frame(event: Event, tmp_path) -> None:  # type: ignore[no-untyped-def]
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    room = Room(quarantine=quarantine)

    assert [] == room.take(event)
    assert 1 == quarantine.kept


def test_ids_of_any_form_are_fine_where_they_are_not_counted() -> None:
    assert [trade("a-7")] == Room(TOLD_APART).take(trade("a-7"))


def test_a_gap_is_counted_on_its_stream_and_asked_about() -> None:
    room = Room()
    told = room.take(trade(1), trade(5))

    assert ["found"] == [one.state for one in told if isinstance(one, Gap)]
    assert 1 == room.intake.streams[Wanted("trade", BTC)].gaps
    assert 1 == len(room.repairs)


def test_what_was_read_before_a_fault_is_published_all_the_same() -> None:
    room = Room()
    with pytest.raises(TypeError):
        room.take(trade(1), Overlap(BTC, None))  # type: ignore[arg-type]

    assert [trade(1)] == room.events


def test_a_fault_is_counted_by_where_it_happened() -> None:
    room = Room()
    room.intake.fault("reading a frame", KeyError("x"), b"{}")

    assert 1 == room.count("marketd_faults", where="reading a frame")
    assert 1 == room.intake.frames_bad


def test_quotes_never_step_back_and_the_newer_connection_has_the_word() -> None:
    room = Room()

    assert 1 == len(room.take(quote(5)))
    assert [] == room.take(quote(5))
    assert [] == room.take(quote(4))
    assert 1 == len(room.take(quote(6), connection=2))
    assert [] == room.take(quote(7), connection=1)


def test_when_the_newer_connection_ends_the_older_has_the_word_again() -> None:
    room = Room()
    room.take(quote(5), connection=2)
    room.intake.ended(2, "it broke", T0)

    assert 1 == len(room.take(quote(6), connection=1))


def test_a_book_whose_connection_ended_starts_over() -> None:
    room = Room(BY_STREAM)
    told = room.take(BookSnapshot("v", BTC, T0, T0, [("9", "1")], [("11", "1")], 5), connection=2)
    assert [BookL2] == [one.__class__ for one in told]
    room.intake.ended(2, "it broke", T0 + SECOND)

    assert [("book", "found")] == [(one.channel, one.state) for one in room.events if isinstance(one, Gap)]
    assert not room.intake.books.is_in_sync(BTC)


def test_the_answer_to_a_subscription_says_what_was_missed() -> None:
    room = Room()
    room.take(trade(7))
    room.intake.down(WANTED, "it broke", T0)
    assert {"dead"} == {stream.state for stream in room.intake.streams.values()}
    room.intake.acked(WANTED, T0 + SECOND)

    assert {"live"} == {stream.state for stream in room.intake.streams.values()}
    assert [("8", None)] == [(one.span.from_id, one.span.to_id) for one in room.repairs]


@pytest.mark.parametrize(("first", "asks"), [(trade("b"), 1), (Overlap(BTC, [trade("b")]), 2)])
def test_data_before_the_answer_proves_nothing_about_the_outage(first: Event | Notice, asks: int) -> None:
    room = Room(TOLD_APART)
    room.take(trade("a"))
    room.intake.down(WANTED, "it broke", T0)
    room.take(first, at=T0 + SECOND)

    assert asks == len(room.repairs)
    room.intake.publish(room.intake.continuity.fetched(BTC, [trade("b")], goes_on=True))
    for repair in room.repairs:
        room.intake.publish(room.intake.continuity.repaired(BTC, repair.span, None, T0))
    assert ["found", "unrecoverable"] == [one.state for one in room.events if isinstance(one, Gap) and one.channel == "trade"]


def test_a_refused_stream_says_so_once_and_lives_again_when_the_venue_takes_it() -> None:
    room = Room()
    mine = WANTED[:1]
    room.intake.refused(mine, "not for you", T0)
    room.intake.refused(mine, "not for you", T0)
    room.intake.acked(mine, T0 + SECOND)

    assert ["refused", "connected"] == [one.state for one in room.events if isinstance(one, Status)]
    assert "live" == room.intake.streams[mine[0]].state


def test_the_last_trade_that_the_venue_names_is_compared() -> None:
    room = Room()
    room.take(trade(7))

    assert ["found"] == [one.state for one in room.take(LastTrade(BTC, "9")) if isinstance(one, Gap)]
    assert [] == room.take(LastTrade(BTC, "none yet"))


def test_notices_about_the_line_are_passed_on_with_its_number() -> None:
    room = Room()
    room.take(Acked(WANTED), Lost("a jump"), connection=3)

    assert [(3, Acked(WANTED)), (3, Lost("a jump"))] == room.notices


def test_frames_that_are_understood_and_unused_are_no_trouble_and_unknown_ones_are_counted() -> None:
    room = Room()
    room.take(Unsaid("not needed"), Unknown("stream x"))

    assert 1 == room.count("marketd_frames_bad", reason="unknown")


def test_trouble_is_shown_a_few_times_and_what_is_remembered_of_it_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    room = Room()
    for number in range(KINDS_MAX * 2):
        room.take(Unknown(f"stream {number}"))
    shown = capsys.readouterr()
    lines = [line for line in (shown.out + shown.err).splitlines() if "unknown_frame" in line]

    assert len(lines) <= KINDS_MAX + SHOWN_MAX
    assert KINDS_MAX * 2 == room.count("marketd_frames_bad", reason="unknown")


def test_the_share_of_bad_frames_is_judged_from_one_question_to_the_next() -> None:
    room = Room()
    for _ in range(10):
        room.intake.bad(BadFrame("v", b"{", "cut off"))
        room.take(trade(1))

    assert 0.5 == room.intake.bad_ratio()
    assert 0.0 == room.intake.bad_ratio()


def test_what_is_no_longer_wanted_is_forgotten() -> None:
    room = Room()
    room.take(trade(1))
    room.intake.down(WANTED, "it broke", T0)
    room.intake.unwant(WANTED)

    assert ({}, {}) == (room.intake.streams, room.intake.missed_because)
    assert [] == room.take(trade(2))
    assert not room.intake.expects_trades(BTC)


def test_fetched_trades_that_cannot_be_are_kept_aside_too() -> None:
    room = Room()

    assert [trade(2)] == room.intake.admit([trade(1, price="0"), trade(2), trade("x")])


def test_a_sign_of_life_ends_the_silence_of_that_stream_alone() -> None:
    room = Room()
    room.intake.alive(BTC, "quote", T0 + 5 * SECOND)
    silent = {one.channel: stream.cadence.last_ns for one, stream in room.intake.streams.items()}

    assert {"trade": None, "quote": T0 + 5 * SECOND, "book": None, "candle": None} == silent


def test_closing_lets_go_what_was_held() -> None:
    room = Room()
    room.take(trade(1), trade(5))
    room.intake.close()

    assert ["1", "5"] == [one.trade_id for one in room.events if isinstance(one, Trade)]
