"""Recorded frames in place of the market."""

import gzip
import json
from pathlib import Path

import httpx
import pytest

from marketd.sim import open_sim
from marketd.sim.recorded import read_recording


def write(path: Path, *records: object) -> Path:
    text = "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def trade(symbol: str, number: int) -> str:
    stream = f"{symbol.lower()}@trade"
    return f'{{"stream": "{stream}",  "data":{{"e":"trade","s":"{symbol}","t":{number},"p":"1.50000000"}}}}'


def binance_file(path: Path) -> Path:
    depth = '{"lastUpdateId":7,"bids":[],"asks":[]}'
    return write(
        path,
        {"ts": 1, "k": "open", "url": "wss://x"},
        {"ts": 2, "k": "in", "frame": '{"result":null,"id":1}'},
        {"ts": 3, "k": "in", "frame": trade("XRPETH", 1)},
        {"ts": 4, "k": "in", "frame": trade("DOTUSDT", 9)},
        {"ts": 5, "k": "rest", "url": "https://x/api/v1/depth?symbol=XRPETH&limit=5", "frame": depth},
        {"ts": 6, "k": "in", "frame": trade("XRPETH", 2)},
    )


async def test_frames_come_verbatim_once_and_only_those_subscribed_to(tmp_path: Path, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], recording=binance_file(tmp_path / "a.jsonl.gz")) as sim:
        async with connect(sim.env()["BINANCE_WS_URL"] + "/stream") as client:
            client.send({"method": "SUBSCRIBE", "params": ["xrpeth@trade"], "id": 5})
            frames = [(await client.raw()).decode() for _ in range(3)]
            sim.step(50)

            assert ['{"result":null,"id":5}', trade("XRPETH", 1), trade("XRPETH", 2)] == frames
            assert [] == await client.all()
        async with connect(sim.env()["BINANCE_WS_URL"] + "/stream?streams=xrpeth@trade") as late:
            assert [] == await late.all()


async def test_rest_answers_from_the_recording_and_lists_its_symbols(tmp_path: Path) -> None:
    async with (
        open_sim(["binance"], recording=binance_file(tmp_path / "a.jsonl")) as sim,
        httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest,
    ):
        info = (await rest.get("/api/v3/exchangeInfo")).json()
        depth = await rest.get("/api/v3/depth", params={"symbol": "XRPETH", "limit": 1000})
        other = await rest.get("/api/v3/depth", params={"symbol": "DOTUSDT"})

        assert ["XRPETH", "DOTUSDT"] == [symbol["symbol"] for symbol in info["symbols"]]
        assert 7 == depth.json()["lastUpdateId"]
        assert (503, "not in the recording") == (other.status_code, other.text)


async def test_bitfinex_plays_its_own_acknowledgements_with_their_channels(tmp_path: Path, connect) -> None:  # type: ignore[no-untyped-def]
    def ack(channel: int, symbol: str) -> str:
        return json.dumps({"event": "subscribed", "channel": "trades", "chanId": channel, "symbol": symbol})

    path = write(tmp_path / "b.frames.gz", ack(5, "tBTCUSD"), ack(6, "tETHUSD"), '[5,"te",[1,2,3,4]]', '[6,"te",[1,2,3,4]]')
    async with open_sim(["bitfinex"], recording=path) as sim, connect(sim.env()["BITFINEX_WS_URL"]) as client:
        assert "info" == (await client.next())["event"]
        client.send({"event": "subscribe", "channel": "trades", "symbol": "tETHUSD"})

        assert ack(6, "tETHUSD") == (await client.raw()).decode()
        assert b'[6,"te",[1,2,3,4]]' == await client.raw()
        assert [] == await client.all()


SUBSCRIPTIONS = {
    "bybit": ({"topic": "publicTrade.BTCUSDT", "data": []}, {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}),
    "coinbase": (
        {"type": "match", "product_id": "BTC-USD"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]},
    ),
    "kraken": (
        {"channel": "trade", "type": "update", "data": [{"symbol": "BTC/USD"}]},
        {"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}},
    ),
}


@pytest.mark.parametrize("venue", SUBSCRIPTIONS)
async def test_each_venue_acknowledges_and_then_plays(tmp_path: Path, connect, venue: str) -> None:  # type: ignore[no-untyped-def]
    frame, subscription = SUBSCRIPTIONS[venue]
    path = write(tmp_path / "c.jsonl", {"ts": 1, "k": "in", "frame": json.dumps(frame)})
    async with open_sim([venue], recording=path) as sim, connect(sim.env()[f"{venue.upper()}_WS_URL"]) as client:
        client.send(subscription)
        seen = []
        while not seen or seen[-1] != frame:
            seen.append(await client.next())

        assert 2 <= len(seen) <= 3


async def test_kraken_lists_the_decimals_of_the_recording(tmp_path: Path) -> None:
    book = '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":29430.2,"qty":1.0}],"asks":[]}]}'
    path = write(tmp_path / "k.jsonl", {"ts": 1, "k": "in", "frame": book})
    async with open_sim(["kraken"], recording=path) as sim, httpx.AsyncClient() as rest:
        pairs = (await rest.get(sim.env()["KRAKEN_REST_URL"] + "/AssetPairs")).json()["result"]

        assert 1 == pairs["XXBTZUSD"]["pair_decimals"]


async def test_alpaca_authenticates_before_it_plays(tmp_path: Path, connect) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "d.jsonl", {"ts": 1, "k": "in", "frame": '[{"T":"b","S":"TSLA"}]'})
    async with open_sim(["alpaca"], recording=path) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        client.send({"action": "auth", "key": "k", "secret": "s"})
        client.send({"action": "subscribe", "bars": ["TSLA"]})
        kinds = [(await client.next())[0]["T"] for _ in range(4)]

        assert ["success", "success", "subscription", "b"] == kinds


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: not a JSON object"):
        read_recording(write(tmp_path / "a.jsonl", {"k": "open"}, "{half"))


def test_frames_of_other_venues_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *({"ts": 1, "k": "in", "venue": v, "frame": v} for v in ("bybit", "kraken")))

    assert [b"kraken"] == [frame.payload for frame in read_recording(path, "kraken").frames]


async def test_a_recording_needs_one_venue(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a recording is of one venue"):
        async with open_sim(recording=tmp_path / "a.jsonl"):
            pass


@pytest.mark.recorded("binance/ws/session_*.jsonl.gz", "binance_us/ws/*.jsonl.gz")
async def test_a_recorded_session_arrives_whole(recording: Path, connect) -> None:  # type: ignore[no-untyped-def]
    venue = recording.parts[-3]
    found = read_recording(recording)
    streams = dict.fromkeys(frame.message["stream"] for frame in found.frames if frame.message and "stream" in frame.message)
    expected = [frame.payload for frame in found.frames if frame.message and "stream" in frame.message]
    async with open_sim([venue], recording=recording) as sim:
        url = sim.env()[f"{venue.upper()}_WS_URL"] + "/stream?streams=" + "/".join(streams)
        async with connect(url) as client:
            assert expected == [await client.raw() for _ in expected]
