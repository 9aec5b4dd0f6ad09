"""Waiting passes the time that it was told, and no more than that."""

from marketd.client.waiting import wait, wait_blocking


async def test_no_time_at_all_is_none() -> None:
    await wait(0)
    wait_blocking(0)
