"""What an entry of the message log says."""

import pytest

from marketd.model.message_log import (
    SUMMARY_MAX,
    Entry,
    entry_of,
    is_logged,
    line_of,
    of_note,
    of_publish,
    of_read,
    of_write,
)

TS = 1_731_605_400_000_000_000
AT = "2024-11-14T17:30:00+00:00"


def test_a_write_names_key_and_ttl() -> None:
    entry = of_write("market:price:BTCUSDT", 81, 60, "market-data", TS)

    assert (
        Entry("cache_write", "market:price:BTCUSDT", "market-data", "wrote market:price:BTCUSDT, 81 bytes, ttl=60", 81, AT)
        == entry
    )
    assert "ttl=none" in of_write("a", 1, None, "market-data", TS).summary
    assert "ttl=0.5" in of_write("a", 1, 0.5, "market-data", TS).summary


def test_a_read_says_what_was_found() -> None:
    assert Entry("cache_read", "a", "dashboard", "read a, 5 bytes", 5, AT) == of_read("a", 5, "dashboard", TS)
    assert Entry("cache_read", "a", "dashboard", "read a, nothing there", 0, AT) == of_read("a", None, "dashboard", TS)


def test_a_signal_is_logged_as_one_in_its_own_words() -> None:
    assert Entry("publish", "c", "ta-service", "published to c, 9 bytes", 9, AT) == of_publish("c", 9, "ta-service", TS)
    assert Entry("signal", "c", "ta-service", "long BTCUSDT", 9, AT) == of_publish(
        "c", 9, "ta-service", TS, signal=True, summary="long\nBTCUSDT"
    )


def test_a_summary_is_one_line_of_a_bounded_length() -> None:
    assert line_of(" a\n\tb  c ") == "a b c"
    assert len(line_of("x" * 10_000)) == SUMMARY_MAX


@pytest.mark.parametrize("channel", ["redis:message_log", "market:log", "trades:BTCUSDT"])
def test_the_log_and_the_streams_of_trades_are_not_logged(channel: str) -> None:
    assert not is_logged(channel)
    assert is_logged("market:update:all")


def test_fields_come_back_and_those_of_others_are_read_tolerantly() -> None:
    entry = of_note("error", "BTCUSDT", "no quote", 3, "trader-bot", TS)
    words = entry.words()

    assert entry == entry_of(dict(zip(words[::2], words[1::2], strict=True)))
    assert Entry("", "", "", "", 0, "") == entry_of({"payload_size": "many", "more": "1"})
