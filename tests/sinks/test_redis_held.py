from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import Trade
from marketd.sinks.redis_held import Held, Progress, decode_progress, encode_progress, read_record
from tests.samples import T0, trade, trades

SERIES = ("binance", "BTCUSDT")
NOW = T0 + 3_600_000_000_000


def record_of(*some: Trade) -> Progress:
    progress = Progress()
    for one in some:
        progress = progress.with_trade(one)
    return progress


def held(*some: Trade) -> Held:
    one = Held()
    one.opened({SERIES: record_of(*some)} if some else {}, NOW)
    return one


def numbers(some: list[Trade]) -> list[int]:
    return [int(one.trade_id) for one in some]


def test_progress_is_the_newest_live_trade_and_the_top_the_newest_of_all() -> None:
    progress = record_of(trade(1), trade(5), trade(3, repaired=True), trade(6, repaired=True))

    assert ("5", "6") == (progress.trade_id, progress.top_id)


def test_the_record_comes_back_as_it_was_written_and_what_is_not_ours_is_left_alone() -> None:
    progress = record_of(trade(5))._replace(writer="host:1:ab", number=7)
    answer = [b"binance:BTCUSDT", encode_progress(progress), b"strange", b"{}", b"binance:ETHUSDT", b"x"]

    assert {SERIES: progress} == read_record(answer)
    assert decode_progress(None) is None


def test_without_a_record_everything_is_new() -> None:
    one = held()

    assert {} == one.unread(trades(1, 3))  # type: ignore[arg-type]
    assert [1, 2, 3] == numbers(one.fresh(trades(1, 3)))  # type: ignore[arg-type]


def test_beyond_the_record_nothing_has_to_be_looked_up() -> None:
    one = held(trade(5))

    assert {} == one.unread([trade(6), trade(7, repaired=True)])


def test_what_is_not_beyond_it_is_looked_up_and_told_apart() -> None:
    one = held(trade(5))
    offered = [trade(3), trade(4), trade(5), trade(6)]
    (symbol, since), *rest = one.unread(offered).items()
    one.read(symbol, since, [("binance", "3"), ("binance", "5"), ("bybit", "4")])

    assert ("BTCUSDT", []) == (symbol, rest)
    assert trade(3).ts_event is not None
    assert since < trade(3).ts_event  # type: ignore[operator]
    assert {} == one.unread(offered)
    assert [4, 6] == numbers(one.fresh(offered))


def test_an_older_one_needs_a_look_further_back() -> None:
    one = held(trade(500))
    later, earlier = [trade(400)], [trade(1, ts_event=T0 - 10**13)]
    one.read("BTCUSDT", one.unread(later)["BTCUSDT"], [])

    assert {} == one.unread(later)
    assert ["BTCUSDT"] == list(one.unread(earlier))


def test_once_live_trades_went_by_only_repaired_ones_are_asked_about() -> None:
    one = held(trade(5))
    one.fresh([trade(6, ts_recv=NOW + 1)])

    assert {} == one.unread([trade(4, ts_recv=NOW + 2)])
    assert ["BTCUSDT"] == list(one.unread([trade(4, repaired=True)]))


def test_what_is_in_doubt_is_looked_up_again_and_no_other_pair() -> None:
    one = held()
    live = [trade(number, symbol=symbol, ts_recv=NOW + 1) for number in (1, 2) for symbol in ("BTCUSDT", "ETHUSDT")]
    assert live == one.fresh(live)

    one.doubt({"BTCUSDT"}, {("binance", symbol): record_of(trade(2)) for symbol in ("BTCUSDT", "ETHUSDT")})
    assert not one.are_new(live)
    assert {"BTCUSDT"} == set(one.unread(live))

    one.read("BTCUSDT", 0, [("binance", "1")])
    assert [2, 3] == numbers(one.fresh([trade(number, ts_recv=NOW + 1) for number in (1, 2, 3)]))
    assert one.are_new([trade(4, ts_recv=NOW + 1)])


def test_what_came_from_the_spill_is_known_when_a_repair_brings_it() -> None:
    one = held(trade(5))
    one.fresh([trade(6), trade(7)])

    assert [8] == numbers(one.fresh([trade(number, repaired=True, ts_recv=NOW + 1) for number in (6, 7, 8)]))


@given(
    st.lists(st.integers(1, 40), unique=True),
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), unique_by=lambda one: one[0]),
)
def test_whatever_is_there_and_whatever_is_offered_each_is_written_once(
    there: list[int], offered: list[tuple[int, bool]]
) -> None:
    one = held(*[trade(number) for number in there])
    some = [trade(number, repaired=repaired) for number, repaired in offered]
    for symbol, since in one.unread(some).items():
        one.read(symbol, since, [("binance", str(number)) for number in there])

    assert [number for number, _ in offered if number not in there] == numbers(one.fresh(some))
    assert [] == one.fresh(some)
