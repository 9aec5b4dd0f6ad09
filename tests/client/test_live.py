"""What a stream says can be told apart by its type, and taken apart by place."""

from typing import get_args

from marketd.client.live import Broken, Channel, Connected, Message, Missed, Streamed
from tests.samples import trade

MESSAGES = [
    Streamed(trade(1), 7, False),
    Missed(Channel("trade", "BTCUSDT"), 1, None, "gone"),
    Connected("e", True),
    Broken("cut", 0.5),
]


def test_every_message_can_be_taken_apart_by_place() -> None:
    told = []
    for message in MESSAGES:
        match message:
            case Streamed(_, pos, is_snapshot):
                told.append((pos, is_snapshot))
            case Missed(channel, after, first, _, filled):
                told.append((channel.symbol, after, first, filled))
            case Connected(epoch, is_again):
                told.append((epoch, is_again))
            case Broken(reason, retry_s):
                told.append((reason, retry_s))

    assert told == [(7, False), ("BTCUSDT", 1, None, 0), ("e", True), ("cut", 0.5)]
    assert {type(one) for one in MESSAGES} == set(get_args(Message))
