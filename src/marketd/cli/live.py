"""The status line on a terminal: events a second, lag and drops of each venue, once a second."""

import asyncio
import sys
from contextlib import suppress

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from marketd.api.state import VenueRow
from marketd.api.status import bus_statistics
from marketd.api.views import Views

EVERY_S = 1.0
STYLES = {"connected": "green", "standby": "cyan", "dry": "cyan", "connecting": "yellow", "down": "red"}


def is_wanted(log_format: str) -> bool:
    """Whether a person is watching: a terminal, and no logs for machines on it."""
    return sys.stderr.isatty() and log_format != "json"


async def show_live(views: Views, address: str, stop: asyncio.Event) -> None:
    """Redraw until `stop` is set."""
    with Live(table(views, address), console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            live.update(table(views, address), refresh=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()


def table(views: Views, address: str) -> Table:
    """One line a venue."""
    drops = sum(one["dropped"] for one in bus_statistics(views.bus)["consumers"]) if views.bus is not None else 0
    found = Table(title=f"{address}   drops {drops:,}   Ctrl-C stops", title_justify="left", box=None, pad_edge=False)
    for name in ("venue", "state"):
        found.add_column(name)
    for name in ("events/s", "lag p50 ms", "lag p99 ms", "gaps", "reconnects", "dropped"):
        found.add_column(name, justify="right")
    for one in views.feeds.venues() if views.feeds is not None else ():
        found.add_row(*_cells(one))
    return found


def _cells(one: VenueRow) -> list[Text | str]:
    return [
        one.name,
        Text(one.state, style=STYLES.get(one.state, "")),
        f"{one.events_per_s:,.0f}",
        _ms(one.lag_ms_p50),
        _ms(one.lag_ms_p99),
        f"{one.gaps:,}",
        f"{one.reconnects:,}",
        f"{one.dropped:,}",
    ]


def _ms(lag: float | None) -> str:
    return "-" if lag is None else f"{lag:,.1f}"
