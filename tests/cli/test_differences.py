"""What `verify` found, written for a person and for a program."""

import csv
import io
import json

from marketd.cli.differences import reported, summary
from marketd.history.proving import Report
from marketd.history.verify import Difference
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import HOUR
from marketd.model.times import ns_of_iso
from marketd.stores.archive import Row

START = ns_of_iso("2022-03-01T00:00:00Z")


def row(close: str) -> Row:
    return Row(START, START + HOUR, "1.50", "2", "1", close, "3", True, 0, "live")


def report(*differences: Difference, unsaid: int = 0, failed: str = "") -> Report:
    span = Interval(START, START + 24 * HOUR)
    parts = [Interval(START, START + unsaid * HOUR)] if unsaid else []
    series = CandleSeries("binance", "BTCUSDT", "1h")
    return Report(series, span, "REST", 1, 1, 24, parts, differences=list(differences), failed=failed)


CHANGED = Difference(START, START + HOUR, "values", "have", ("close",), row("1.60"), row("1.6100"))
GONE = Difference(START + HOUR, START + 3 * HOUR, "ledger", "have", (), None, None, repaired=True)


def test_no_difference_is_no_table() -> None:
    assert "" == reported([report()], "table")
    assert "binance BTCUSDT 1h against REST: 24 candles compared, no difference" == summary(report())


def test_a_table_shows_the_interval_and_both_values() -> None:
    lines = reported([report(CHANGED, GONE)], "table").splitlines()

    assert ["exchange", "symbol", "timeframe", "from", "to", "kind", "ledger", "here", "there", "repaired"] == lines[0].split()
    assert "binance   BTCUSDT  1h         2022-03-01T00:00:00+00:00  2022-03-01T01:00:00+00:00  values" in lines[1]
    assert "close 1.60  close 1.6100" in lines[1]
    assert lines[2].endswith("yes")


def test_csv_has_every_number_of_both() -> None:
    rows = list(csv.DictReader(io.StringIO(reported([report(CHANGED, GONE)], "csv"))))

    assert ("1.50", "1.60", "1.6100") == (rows[0]["here_open"], rows[0]["here_close"], rows[0]["there_close"])
    assert ("2022-03-01T03:00:00+00:00", "ledger", "") == (rows[1]["to"], rows[1]["kind"], rows[1]["here_open"])


def test_json_has_an_object_for_each_series() -> None:
    told = json.loads(reported([report(CHANGED, unsaid=2), report(failed="no answer")], "json"))

    assert [(24, 1, None), (24, 0, "no answer")] == [(one["compared"], len(one["differences"]), one["failed"]) for one in told]
    assert [{"from": "2022-03-01T00:00:00+00:00", "to": "2022-03-01T02:00:00+00:00"}] == told[0]["not_compared"]
    assert ("have", ["close"], False) == tuple(told[0]["differences"][0][name] for name in ("ledger", "fields", "repaired"))


def test_the_summary_counts_by_kind_and_says_what_hindered() -> None:
    said = summary(report(CHANGED, GONE, unsaid=2, failed="binance: 500"))

    assert said.endswith(
        ": 24 candles compared, 2 differences (1 values, 1 ledger), 1 of them repaired; 2 could not be compared; binance: 500"
    )
