"""JSON, CSV and Arrow say the same, and Arrow says what it needs where it is not there."""

import csv
import io
from typing import Any

import httpx
import pyarrow as pa
import pytest

from marketd.api.candles import BATCH
from marketd.api.rows import NUMBERS
from marketd.api.views import Views
from marketd.model.times import iso_of_ns
from tests.api.conftest import fill

URL = "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m&include=closed,revision,source"


def read_arrow(body: bytes) -> list[dict[str, Any]]:
    table = pa.ipc.open_stream(body).read_all()
    rows = table.to_pylist()
    for name in ("open_time", "close_time"):
        for row, ns in zip(rows, table[name].cast(pa.int64()).to_pylist(), strict=True):
            row[name] = iso_of_ns(ns)
    return rows


def read_csv(body: str) -> list[dict[str, Any]]:
    return [
        {**row, "closed": row["closed"] == "true", "revision": int(row["revision"])} for row in csv.DictReader(io.StringIO(body))
    ]


@pytest.mark.parametrize("count", [25, 2 * BATCH + 5])
async def test_every_form_says_the_same(client: httpx.AsyncClient, views: Views, count: int) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    await fill(archive, 25, count)
    as_json = (await client.get(f"{URL}&numbers=string")).json()
    as_csv = await client.get(f"{URL}&format=csv")
    as_arrow = await client.get(f"{URL}&format=arrow")

    assert count == len(as_json)
    assert as_json == read_csv(as_csv.text)
    assert as_json == read_arrow(as_arrow.content)
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert "application/vnd.apache.arrow.stream" == as_arrow.headers["content-type"]
    assert all(isinstance(as_json[0][name], str) for name in NUMBERS)


async def test_an_empty_range_has_its_columns_all_the_same(client: httpx.AsyncClient) -> None:
    nothing = f"{URL}&start=2020-01-01&end=2020-01-02"

    assert (await client.get(f"{nothing}&format=csv")).text.count("\n") == 1
    assert [] == read_arrow((await client.get(f"{nothing}&format=arrow")).content)


@pytest.mark.parametrize("name", ["format=xml", "format=", "numbers=float", "format=JSON"])
async def test_other_forms_are_refused(client: httpx.AsyncClient, name: str) -> None:
    found = await client.get(f"{URL}&{name}")

    assert (400, name.partition("=")[0]) == (found.status_code, found.json()["parameter"])
