"""Waiting passes the time that it was told, and no more than that."""

from marketd.client.waiting import now_ns, wait, wait_blocking


async def test_no_time_at_all_is_none() -> None:
    await wait(0)
    wait_blocking(0)


def test_the_time_goes_on() -> None:
    first = now_ns()

    assert first <= now_ns()
