"""The pretend archive of files, beside REST on the venue's path."""

import csv
import hashlib
import io
import zipfile

import httpx
import pytest

from marketd.clock import ManualClock
from marketd.sim import open_sim

DAY = "/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-11-02.zip"


async def test_a_day_is_a_zip_of_what_rest_says_and_its_checksum(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as client:
        answer, said = await client.get(DAY), await client.get(f"{DAY}.CHECKSUM")
        query = {"symbol": "BTCUSDT", "interval": "1h", "startTime": "1698883200000", "limit": "24"}
        by_rest = (await client.get("/api/v3/klines", params=query)).json()
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            rows = list(csv.reader(io.StringIO(archive.read("BTCUSDT-1h-2023-11-02.csv").decode())))

    assert [[str(cell) for cell in row] for row in by_rest] == rows
    assert f"{hashlib.sha256(answer.content).hexdigest()}  BTCUSDT-1h-2023-11-02.zip\n" == said.text


@pytest.mark.parametrize(
    "path",
    [
        "/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-11-14.zip",
        "/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-11.zip",
        "/data/spot/daily/klines/NOPE/1h/NOPE-1h-2023-11-02.zip",
        "/data/spot/daily/klines/BTCUSDT/7h/BTCUSDT-7h-2023-11-02.zip",
        "/data/spot/daily/klines/BTCUSDT/1h/nothing",
    ],
)
async def test_what_is_not_over_or_does_not_exist_is_not_found(clock: ManualClock, path: str) -> None:
    async with open_sim(["binance"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as client:
        assert 404 == (await client.get(path)).status_code


async def test_its_faults(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as client:
        good = (await client.get(DAY)).content
        sim.fault("binance", "wrong_checksum")
        said = (await client.get(f"{DAY}.CHECKSUM")).text
        sim.fault("binance", "missing_rows")
        sim.fault("binance", "microseconds")
        with zipfile.ZipFile(io.BytesIO((await client.get(DAY)).content)) as archive:
            rows = archive.read(archive.namelist()[0]).decode().splitlines()

    assert hashlib.sha256(good).hexdigest() != said[:64]
    assert 24 - 24 // 7 == len(rows)
    assert rows[0].startswith("1698883200000000,")
