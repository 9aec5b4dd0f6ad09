"""What `marketd verify` found, for a person and for a program: each difference with its interval and both values."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from marketd.cli.counting import counted
from marketd.history.proving import Report
from marketd.history.resample import Bar
from marketd.history.verify import NUMBERS, Difference
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns

Form = Literal["table", "json", "csv"]
COLUMNS = ("exchange", "symbol", "timeframe", "from", "to", "kind", "ledger", "fields", "repaired")


def reported(reports: Sequence[Report], form: Form) -> str:
    """All of it as text; a table says nothing where nothing differs."""
    return {"table": _table, "json": _json, "csv": _csv}[form](reports)


def summary(report: Report) -> str:
    """One line."""
    name = f"{report.series} against {report.witness}" if report.witness else str(report.series)
    said = f"{counted(report.compared, 'candle')} compared"
    found = report.differences
    if found:
        kinds = {kind: sum(one.kind == kind for one in found) for kind in dict.fromkeys(one.kind for one in found)}
        said += f", {counted(len(found), 'difference')} ({', '.join(f'{count:,} {kind}' for kind, count in kinds.items())})"
        said += f", {report.repaired:,} of them repaired" if report.repaired else ""
    elif report.compared:
        said += ", no difference"
    if report.unasked:
        said += f"; {report.unasked:,} not asked for yet: marketd backfill"
    if unsaid := _candles(report):
        said += f"; {unsaid:,} could not be compared"
    return f"{name}: {said}; {report.failed}" if report.failed else f"{name}: {said}"


def _candles(report: Report) -> int:
    """How many the witness could say nothing of."""
    frame, count = timeframe(report.series.timeframe), 0
    for part in report.unsaid:
        if frame.step:
            count += part.length // frame.step
            continue
        at = part.start
        while at < part.stop:
            at, count = frame.close_of(at), count + 1
    return count


def _all(reports: Sequence[Report]) -> Iterator[tuple[Report, Difference]]:
    return ((report, one) for report in reports for one in report.differences)


def _cells(report: Report, one: Difference) -> tuple[str, ...]:
    interval = iso_of_ns(one.start), iso_of_ns(one.stop)
    return (*report.series, *interval, one.kind, one.state or "unknown", " ".join(one.fields), "yes" if one.repaired else "no")


def _numbers(row: Bar | None) -> tuple[str, ...]:
    return ("",) * len(NUMBERS) if row is None else tuple(getattr(row, name) for name in NUMBERS)


def _table(reports: Sequence[Report]) -> str:
    if not any(report.differences for report in reports):
        return ""
    table = Table(box=None, pad_edge=False)
    for column in (*COLUMNS[:7], "here", "there", "repaired"):
        table.add_column(column, no_wrap=True)
    for report, one in _all(reports):
        cells = _cells(report, one)
        table.add_row(*cells[:7], _short(one.here, one), _short(one.there, one), cells[-1])
    console = Console(highlight=False, width=260)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _short(row: Bar | None, one: Difference) -> str:
    """The numbers that differ; of a candle that only one side has, all."""
    return "" if row is None else " ".join(f"{name} {getattr(row, name)}" for name in one.fields or NUMBERS)


def _csv(reports: Sequence[Report]) -> str:
    lines: list[str] = []

    class Lines:
        write = lines.append

    writer = csv.writer(Lines, lineterminator="\n")
    writer.writerow((*COLUMNS, *(f"here_{name}" for name in NUMBERS), *(f"there_{name}" for name in NUMBERS)))
    writer.writerows((*_cells(report, one), *_numbers(one.here), *_numbers(one.there)) for report, one in _all(reports))
    return "".join(lines)


def _json(reports: Sequence[Report]) -> str:
    """An array with an object for each series."""
    return "[" + ",".join("\n" + msgspec.json.encode(_told(report)).decode() for report in reports) + "\n]\n"


def _told(report: Report) -> dict[str, Any]:
    series = dict(zip(("exchange", "symbol", "timeframe"), report.series, strict=True))
    return {
        **series,
        "against": report.witness,
        "start": iso_of_ns(report.span.start),
        "end": iso_of_ns(report.span.stop),
        "pages": report.pages,
        "compared": report.compared,
        "not_compared": [{"from": iso_of_ns(part.start), "to": iso_of_ns(part.stop)} for part in report.unsaid],
        "not_asked": report.unasked,
        "failed": report.failed or None,
        "differences": [
            {
                "from": iso_of_ns(one.start),
                "to": iso_of_ns(one.stop),
                "kind": one.kind,
                "ledger": one.state or None,
                "fields": list(one.fields),
                "here": _object(one.here),
                "there": _object(one.there),
                "repaired": one.repaired,
            }
            for one in report.differences
        ],
    }


def _object(row: Bar | None) -> dict[str, str] | None:
    return None if row is None else dict(zip(NUMBERS, _numbers(row), strict=True))
