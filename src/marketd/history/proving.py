"""Proving a stored series against a witness, page by page, and mending it from there where the witness knows better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from marketd.clock import Clock
from marketd.history.planning import paged
from marketd.history.resample import Bar
from marketd.history.verify import Compared, Difference, compare
from marketd.history.witnesses import Witness
from marketd.model.events import Candle
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe as named
from marketd.stores.archive import Page, Row

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

NOT_STORED = "the ledger had it, no candle was stored"


@dataclass(slots=True)
class Report:
    """What became of one series."""

    series: CandleSeries
    span: Interval  # ns, open times
    witness: str
    pages: int = 0  # how many questions it takes; of a sample, those drawn
    asked: int = 0
    compared: int = 0  # candles
    unsaid: list[Interval] = field(default_factory=list)  # of what was asked for: where the witness cannot say
    unasked: int = 0  # candles that the witness has where the ledger says nothing: never asked for, so no difference
    differences: list[Difference] = field(default_factory=list)
    failed: str = ""  # why it could not be brought to an end

    @property
    def repaired(self) -> int:
        return sum(one.repaired for one in self.differences)

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs, or no longer does."""
        return not self.failed and self.repaired == len(self.differences)


class Prover:
    """Compares series of an archive with one witness."""

    def __init__(
        self, archive: "Archive", witness: Witness, clock: Clock, tell: Callable[[Report], None] = lambda report: None
    ) -> None:
        self._archive, self._witness, self._clock, self._tell = archive, witness, clock, tell

    async def prove(
        self, series: CandleSeries, span: Interval | None = None, *, sample: int | None = None, repair: bool = False
    ) -> Report:
        """Compare `series` in `span` (ns; default: from its first to its newest candle). `sample`: only so many pages of it,
        drawn by chance. What was never asked for is counted, and with `repair` fetched. Raises what the witness raises, and
        DeliveryError."""
        frame = named(series.timeframe)
        newest = await self._archive.candles(series, 0, 2**63 - 1, limit=1, newest=True)
        if span is None:
            first = await self._archive.candles(series, 0, 2**63 - 1, limit=1)
            span = Interval(first[0].open_time, newest[0].close_time) if first else Interval(0, 0)
        on_grid = Interval(frame.open_of(span.start), frame.close_of(frame.open_of(span.stop - 1))) if span.length else span
        report = Report(series, on_grid, self._witness.name)
        pages = list(paged(on_grid, frame, self._witness.page(series)))
        if sample is not None and sample < len(pages):
            pages = sorted(Random(self._clock.now_ns()).sample(pages, sample))
        report.pages = len(pages)
        self._tell(report)
        edge = newest[0].open_time if newest else 0
        for page in pages:
            found, unsaid = await self._look(series, page, edge)
            differences = found.differences if repair else [one for one in found.differences if not _is_unasked(one)]
            unasked = len(found.differences) - len(differences)
            if differences and self._witness.may_err:
                again, _ = await self._look(series, page, edge)
                differences = [one for one in again.differences if _key(one) in set(map(_key, differences))]
            if differences and repair:
                differences = await self._repair(series, differences)
            report.asked += 1
            report.compared += found.candles - unasked
            report.unasked += unasked
            report.unsaid += unsaid
            report.differences += differences
            self._tell(report)
        return report

    async def _look(self, series: CandleSeries, page: Interval, edge: int) -> tuple[Compared, list[Interval]]:
        account = await self._witness.candles(series, page)
        ledger = await self._archive.ledger(series, *page)
        rows = await self._archive.candles(series, *page)
        found = compare(
            rows, account.rows, page, ledger,
            said=account.said, closed_before=edge, empty_is_none=self._witness.empty_is_none,
        )  # fmt: skip
        return found, Intervals(account.said).missing(*page)

    async def _repair(self, series: CandleSeries, differences: Sequence[Difference]) -> list[Difference]:
        """The same, those marked that are no more: rows of a better source stored, the ledger made to say what is stored."""
        now = self._clock.now_ns()
        taken = [one for one in differences if self._is_better(one)]
        candles = [_candle(one.there, series, now) for one in taken if one.there is not None]
        if candles:
            span = Interval(candles[0].open_time, candles[-1].close_time)
            parts = [Stretch(one.open_time, one.close_time, "have", "", now) for one in candles]
            await self._archive.put(Page(series, span, candles, parts, self._witness.source))
        wrong = [one for one in differences if one.kind == "ledger"]
        if wrong:
            await self._archive.settle(series, [_corrected(one, now) for one in wrong])
        mended = {one.start for one in (*taken, *wrong)}
        return [one._replace(repaired=one.start in mended) for one in differences]

    def _is_better(self, one: Difference) -> bool:
        if one.kind == "only there":
            return True
        if one.kind != "values" or not self._witness.replaces:
            return False
        return _is_own(one.there) or not _is_own(one.here)


def _is_own(row: Bar | None) -> bool:
    """Whether the venue itself said it."""
    return not (isinstance(row, Row) and row.source == "built")


def _is_unasked(one: Difference) -> bool:
    return one.kind == "only there" and not one.state


def _key(one: Difference) -> tuple[object, ...]:
    return one.start, one.kind, one.fields


def _corrected(one: Difference, now: int) -> Stretch:
    if one.here is None:
        return Stretch(one.start, one.stop, "missing", NOT_STORED, now)
    return Stretch(one.start, one.stop, "have", "", now)


def _candle(row: Bar, series: CandleSeries, now: int) -> Candle:
    if isinstance(row, Candle):
        return Candle(**{**asdict(row), "closed": True, "repaired": True})
    numbers = row.open, row.high, row.low, row.close, row.volume
    times = row.open_time, row.close_time
    return Candle(series.venue, series.symbol, None, now, series.timeframe, *times, *numbers, closed=True, repaired=True)
