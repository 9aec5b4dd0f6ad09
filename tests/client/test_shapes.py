"""What the server sends decodes into shapes that keep every digit."""

import msgspec

from marketd.api.rows import EXTRA, KEYS
from marketd.client.shapes import Candle


def test_a_candle_has_the_keys_of_the_wire() -> None:
    assert (*KEYS, *EXTRA) == Candle.__struct_fields__


def test_numbers_come_as_literals_or_as_text_with_their_digits() -> None:
    times = '"open_time":"2024-11-14T17:30:00+00:00","close_time":"2024-11-14T17:31:00+00:00"'
    head = f'{{"exchange":"b","symbol":"B","timeframe":"1m",{times},'
    literal = head + '"open":1.10,"high":2,"low":0.5,"close":1.123456789012345678,"volume":0}'
    text = head + '"open":"1.10","high":"2","low":"0.5","close":"1.123456789012345678","volume":"0"}'
    found = msgspec.json.decode(literal, type=Candle)

    assert "1.123456789012345678" == str(found.close)
    assert found == msgspec.json.decode(text, type=Candle)
