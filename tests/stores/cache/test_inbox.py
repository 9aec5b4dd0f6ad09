"""What waits for one listener."""

import asyncio

from marketd.stores.cache.cache import Message, Resumed
from marketd.stores.cache.inbox import Inbox


def message(number: int) -> Message:
    return Message("a", b"%d" % number)


async def test_what_finds_no_room_is_counted_and_said_where_it_is_missing() -> None:
    lost: list[int] = []
    inbox = Inbox(lost.append, capacity=2)
    for number in range(5):
        inbox.put(message(number))
    first = [await anext(inbox) for _ in range(3)]
    inbox.put(message(5))

    assert [message(0), message(1)] == first[:2]
    assert isinstance(first[2], Resumed)
    assert first[2].missed == 3
    assert message(5) == await anext(inbox)
    assert sum(lost) == 3


async def test_a_hole_is_one_hole() -> None:
    inbox = Inbox(lambda _: None, capacity=2)
    for number in range(3):
        inbox.put(message(number))
    await anext(inbox)
    inbox.put(message(3))  # there is room, but 2 is missing before it
    rest = [await anext(inbox), await anext(inbox)]

    assert message(1) == rest[0]
    assert isinstance(rest[1], Resumed)
    assert rest[1].missed == 2


async def test_after_a_reconnect_it_is_resumed_once_and_however_full() -> None:
    inbox = Inbox(lambda _: None, capacity=1)
    inbox.put(message(0))
    inbox.put(message(1))
    inbox.resume("back")
    inbox.resume("back again")

    assert [message(0), Resumed("back")] == [await anext(inbox), await anext(inbox)]
    assert len(inbox) == 0


async def test_who_waits_is_woken() -> None:
    inbox = Inbox(lambda _: None)

    async def later() -> None:
        inbox.put(message(1))

    got, _ = await asyncio.gather(anext(inbox), later())

    assert message(1) == got


async def test_large_messages_find_room_for_so_many_bytes_only_and_for_one_always() -> None:
    lost: list[int] = []
    inbox = Inbox(lost.append, capacity=10, bytes_max=100)
    inbox.put(Message("a", bytes(200)))
    inbox.put(Message("a", bytes(10)))  # no room beside it
    first, hole = await anext(inbox), await anext(inbox)
    inbox.put(Message("a", bytes(60)))
    inbox.put(Message("a", bytes(40)))
    inbox.put(Message("a", b"1"))

    assert isinstance(first, Message)
    assert isinstance(hole, Resumed)
    assert [60, 40] == [len(one.payload) for one in (await anext(inbox), await anext(inbox)) if isinstance(one, Message)]
    assert [1, 1] == lost
