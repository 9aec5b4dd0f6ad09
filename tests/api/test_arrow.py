"""Arrow is a stream of batches with text digits, and where its library is not there the answer says what to install."""

import sys

import httpx
import pyarrow as pa
import pytest

from marketd.api.arrow import Arrow
from marketd.model.series import CandleSeries
from tests.api.test_rows import OPEN, row

SERIES = CandleSeries("bitfinex", "BTCUSD", "1m")
URL = "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m"


def test_batches_make_one_stream() -> None:
    form = Arrow(SERIES, ["revision"])
    body = form.head() + form.rows([row()]) + form.rows([]) + form.rows([row(revision=3), row()]) + form.tail()
    table = pa.ipc.open_stream(body).read_all()

    assert [0, 3, 0] == table["revision"].to_pylist()
    assert ["bitfinex"] * 3 == table["exchange"].to_pylist()
    assert [OPEN] * 3 == table["open_time"].cast(pa.int64()).to_pylist()
    assert "1.123456789012345678" == table["volume"][0].as_py()


def test_text_digits_cast_to_numbers() -> None:
    form = Arrow(SERIES, [])
    table = pa.ipc.open_stream(form.head() + form.rows([row()]) + form.tail()).read_all()

    assert 91.1 == table["open"].cast(pa.float64())[0].as_py()
    assert "1.123456789012345678" == str(table["volume"].cast(pa.decimal128(38, 18))[0].as_py())


async def test_without_pyarrow_the_answer_names_the_extra(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "marketd.api.arrow", raising=False)
    found = await client.get(f"{URL}&format=arrow")

    assert (406, "format", ["json", "csv"]) == (found.status_code, found.json()["parameter"], found.json()["allowed"])
    assert "marketd[frames]" in found.json()["error"]
