"""What `check` says of the venue that fills the candle cache."""

import pytest

from marketd.cli.polled import ask
from marketd.config import Config
from marketd.errors import ConfigError
from marketd.sim import open_sim


def config(url: str, *roles: str, **more: object) -> Config:
    return Config.model_validate({"profile": "candle-cache", "roles": roles or ["cache"], "cache": {"rest_url": url, **more}})


async def test_the_venue_is_asked_for_its_coins_and_what_they_cost_is_told() -> None:
    async with open_sim(["binance_us"]) as sim:
        url = sim.env()["BINANCE_US_REST_URL"]
        every, some = (
            await ask(config(url)),
            await ask(config(url, "cache", "ingest", symbols=["ETC", "WOOL"], timeframes=["1h"])),
        )

        exchanges = {"binance_us": {"rest_url": url, "rest_share": 0.05}}
        little = await ask(Config.model_validate({"profile": "candle-cache", "roles": ["cache"], "exchanges": exchanges}))

    assert little is not None
    assert "weight 118 of the 48 in 60 s that it may use; too little, keys will expire" in little.lines[1]
    assert every is not None
    assert (True, True) == (every.is_well, every.is_required)
    assert every.lines[0].startswith(f"cache polls binance_us at {url}: ok, 29 coins: BTCUSDT, ETHUSDT, ")
    assert [
        "cache keeps 5m every 30 s, 1h every 120 s, 4h every 300 s, prices every 30 s",
        "weight 118 of the 960 in 60 s that it may use",
    ] == every.lines[1].split(": ")
    assert some is not None
    assert not some.is_required
    assert f"cache polls binance_us at {url}: ok, 1 coin: ETCUSD; it does not trade WOOL" == some.lines[0]


async def test_a_venue_that_does_not_answer_or_has_none_of_the_coins_is_said_to() -> None:
    async with open_sim(["binance_us"]) as sim:
        none = await ask(config(sim.env()["BINANCE_US_REST_URL"], symbols=["WOOL"]))
    away = await ask(config("http://127.0.0.1:1"))

    assert none is not None
    assert away is not None
    assert (False, False) == (none.is_well, away.is_well)
    assert none.lines[0].endswith(": no: it trades none of WOOL")
    assert away.lines[0].startswith("cache polls binance_us at http://127.0.0.1:1: no: ")


async def test_where_nothing_is_polled_nobody_is_asked() -> None:
    assert await ask(config("http://127.0.0.1:1", "scanner")) is None
    assert await ask(config("http://127.0.0.1:1", enabled=False)) is None
    with pytest.raises(ConfigError, match=r"cache\.venue: kraken cannot be polled"):
        await ask(config("http://127.0.0.1:1", venue="kraken"))
