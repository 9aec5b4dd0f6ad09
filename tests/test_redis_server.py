"""What the tests with a real Redis server rely on."""

from pathlib import Path

import pytest
import redis

from tests.redis_server import RedisServer


def test_a_killed_server_comes_back_with_what_it_acknowledged() -> None:
    with RedisServer() as server:
        entry = server.command("XADD", "trades:BTCUSDT", "*", "price", "37000.10")
        server.restart()
        found = server.command("XRANGE", "trades:BTCUSDT", "-", "+")

    assert [[entry, ["price", "37000.10"]]] == [list(map(_plain, one)) for one in found]


def test_a_frozen_server_answers_again_once_thawed() -> None:
    with RedisServer() as server:
        server.freeze()
        server.thaw()

        assert server.command("PING")


def test_a_password_is_asked_for() -> None:
    with RedisServer(requirepass="opensesame") as server, redis.Redis(port=server.port) as stranger:
        with pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()

        assert server.command("PING")


def test_nothing_of_it_is_left_behind() -> None:
    with RedisServer() as server:
        home = Path(server.command("CONFIG", "GET", "dir")["dir"])

    assert not home.exists()


def _plain(found: object) -> object:
    return [word for pair in found.items() for word in pair] if isinstance(found, dict) else found
