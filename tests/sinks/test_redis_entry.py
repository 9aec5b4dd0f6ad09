from datetime import datetime

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import Trade
from marketd.sinks.redis_entry import FIELDS, Entries, stream_of
from tests.samples import T0, trade

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


def words_of(packed: bytes) -> list[list[str]]:
    """What a server reads there."""
    reader = hiredis.Reader()
    reader.feed(packed)
    found = []
    while (command := reader.gets()) is not False:
        found.append([word.decode() for word in command])
    return found


def fields_of(one: Trade) -> dict[str, str]:
    (words,) = words_of(Entries(10_000).pack([one]))
    return dict(zip(words[6::2], words[7::2], strict=True))


def test_an_entry_has_the_eight_fields_all_text_with_the_venues_digits() -> None:
    one = trade(7, ts_event=1_731_605_400_123_456_000, price="37000.10", size="0.50000000", raw='{"t":7,"p":"37000.10"}')

    assert {
        "exchange": "binance",
        "pair": "BTCUSDT",
        "price": "37000.10",
        "qty": "0.50000000",
        "ts": "2024-11-14T17:30:00.123456",
        "side": "buy",
        "trade_id": "7",
        "raw_json": '{"t":7,"p":"37000.10"}',
    } == fields_of(one)
    assert list(FIELDS) == list(fields_of(one))


def test_the_command_trims_its_stream() -> None:
    (words,) = words_of(Entries(500).pack([trade(1)]))

    assert ["XADD", "trades:BTCUSDT", "MAXLEN", "~", "500", "*"] == words[:6]


def test_what_the_venue_does_not_say_is_there_and_empty() -> None:
    found = fields_of(trade(1, side=None, ts_event=None))

    assert ("", "", "{}") == (found["side"], found["ts"], found["raw_json"])


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (T0, "2023-11-14T22:13:20.000000"),
        (T0 + 999_999_999, "2023-11-14T22:13:20.999999"),
        (T0 + 1_000, "2023-11-14T22:13:20.000001"),
        (0, "1970-01-01T00:00:00.000000"),
    ],
)
def test_a_time_has_six_decimals_always_and_nothing_is_rounded_up(ns: int, expected: str) -> None:
    assert expected == fields_of(trade(1, ts_event=ns))["ts"]


@given(st.lists(st.tuples(texts, texts, st.sampled_from(["buy", "sell", None]), st.integers(0, 2**62)), max_size=5))
def test_whatever_a_venue_writes_arrives_as_it_is(rows: list[tuple[str, str, None, int]]) -> None:
    entries = Entries(10_000)
    some = [trade(1, symbol=f"É{raw[:3]}", trade_id=number, side=side, ts_event=ts, raw=raw) for number, raw, side, ts in rows]

    found = words_of(entries.pack(some)) if some else []

    assert [(stream_of(one.symbol), one.trade_id, one.side or "", one.raw) for one in some] == [
        (words[1], words[-3], words[-5], words[-1]) for words in found
    ]
    for words, one in zip(found, some, strict=True):
        assert one.ts_event is not None
        assert 26 == len(words[15])
        assert one.ts_event // 1_000_000_000 == int(datetime.fromisoformat(words[15] + "+00:00").timestamp())
