from marketd.sinks.redis_entry import Entries
from marketd.sinks.redis_flight import CHUNK, packed
from marketd.sinks.redis_held import Progress, encode_progress
from tests.samples import trade
from tests.sinks.test_redis_entry import words_of

BTC, ETH = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")
SOME = [trade(1), trade(1, symbol="ETHUSDT"), trade(2), trade(3), trade(2, symbol="ETHUSDT")]


def test_a_transaction_reads_the_record_writes_its_trades_and_then_the_record() -> None:
    flight = packed(Entries(10_000), SOME, 1, "us", 7, lambda _: Progress())

    assert ["MULTI", "HMGET", *["XADD"] * 4, "HSET", "EXEC"] == [words[0] for words in words_of(flight.commands)]
    assert {ETH: ("2", "2", "us", 7), BTC: ("3", "3", "us", 7)} == {
        series: (one.trade_id, one.top_id, one.writer, one.number) for series, one in flight.progress.items()
    }


def test_it_takes_no_more_than_a_chunk() -> None:
    flight = packed(Entries(10_000), [trade(number) for number in range(1, 2000)], 100, "us", 1, lambda _: Progress())

    assert (CHUNK, "101") == (len(flight.trades), flight.trades[0].trade_id)


def test_the_record_counts_only_what_was_written() -> None:
    flight = packed(Entries(10_000), SOME, 0, "us", 7, lambda _: Progress())
    found = flight.record_without([None, None], {3, 4, 1}, {"BTCUSDT", "ETHUSDT"})

    assert ("2", "us", 7) == (found[BTC] and (found[BTC].trade_id, found[BTC].writer, found[BTC].number))
    assert found[ETH] is None
    assert [ETH] == list(flight.record_without([None, None], {1, 4}, {"ETHUSDT"}))


def test_another_writer_is_seen_only_where_we_wrote_before() -> None:
    flight = packed(Entries(10_000), SOME, 0, "us", 7, lambda _: Progress())
    theirs, ours = (encode_progress(Progress("1", writer=writer)) for writer in ("them", "us"))

    assert {BTC: "them"} == flight.others([theirs, theirs], {BTC})
    assert {} == flight.others([ours, None], {BTC, ETH})
