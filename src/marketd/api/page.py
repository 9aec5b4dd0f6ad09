"""`GET /plain`, and `/` where no dashboard is built: one plain status page for a person, that asks nobody else for anything."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from marketd.api.answers import ERRORS
from marketd.api.health import overall
from marketd.api.parameters import NoQuery
from marketd.api.state import SubscriptionRow, VenueRow
from marketd.api.status import bus_statistics
from marketd.api.views import Views

REFRESH_S = 2
ROWS_MAX = 500

STYLE = """
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --degraded: #9a6700; --unhealthy: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --degraded: #d29922; --unhealthy: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid var(--line); } td { border-bottom: 1px solid var(--line); }
.n { text-align: right; font-variant-numeric: tabular-nums; } .scroll { overflow-x: auto; }
.ok, .live, .connected { color: var(--ok); } .degraded, .quiet, .pending, .connecting { color: var(--degraded); }
.unhealthy, .dead, .down, .refused { color: var(--unhealthy); } .note { opacity: .75; }
"""
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def html(title: str, body: str, refresh_s: int = 0) -> str:
    """A page with our look and nothing from elsewhere."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{refresh}<title>{escape(title)}</title>'
    icon = '<link rel="icon" href="data:,">'
    return f'<!doctype html><html lang="en"><head>{head}{icon}<style>{STYLE}</style></head><body>{body}</body></html>'


def page_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["status"])

    async def page(_: Annotated[NoQuery, Query()]) -> Response:
        return HTMLResponse(html("marketd", _body(views), REFRESH_S), headers={**PAGE_HEADERS, "Cache-Control": "no-store"})

    for path, summary in (
        ("/", "The dashboard, or where it is not built the plain status page"),
        ("/plain", "The plain status page"),
    ):
        routes.add_api_route(path, page, responses=ERRORS, summary=summary, response_class=HTMLResponse)

    return routes


def _body(views: Views) -> str:
    components = views.health.components()
    status = overall(components)
    uptime_s = (views.clock.now_ns() - views.started) // 1_000_000_000
    links = " · ".join(f'<a href="/{name}">{name}</a>' for name in ("docs", "health", "status", "stats", "bus-stats", "metrics"))
    parts = [
        f'<h1>marketd is <span class="{status}">{status}</span></h1>',
        f"<p class=note>profile {escape(views.profile)} · up {duration(uptime_s)} · {links}</p>",
        "<h2>Parts</h2>",
        _table(
            ["part", "status", "needed", "reason"],
            [
                [escape(name), _word(one.status), "yes" if one.required else "no", escape(one.reason)]
                for name, one in components.items()
            ],
        ),
    ]
    if views.feeds is not None:
        parts += ["<h2>Venues</h2>", _venues(list(views.feeds.venues()))]
        parts += ["<h2>Subscriptions</h2>", _subscriptions(list(views.feeds.subscriptions()), views.clock.now_ns())]
    if views.bus is not None:
        rows = [
            [escape(one["name"]), one["queue_size"], one["queue_max"], one["fill_percent"], one["taken"], one["dropped"]]
            for one in bus_statistics(views.bus)["consumers"]
        ]
        parts += ["<h2>Consumers</h2>", _table(["consumer", "#waiting", "#room", "#fill %", "#taken", "#dropped"], rows)]
    return "".join(parts)


def _venues(rows: list[VenueRow]) -> str:
    head = [
        "venue",
        "state",
        "#connections",
        "#events/s",
        "#lag p50 ms",
        "#lag p99 ms",
        "#reconnects",
        "#gaps",
        "#dropped",
        "reason",
    ]
    return _table(
        head,
        [
            [
                escape(one.name), _word(one.state), one.connections, f"{one.events_per_s:,.1f}", _ms(one.lag_ms_p50),
                _ms(one.lag_ms_p99), one.reconnects, one.gaps, one.dropped, escape(one.reason),
            ]
            for one in rows
        ],
    )  # fmt: skip


def _subscriptions(rows: list[SubscriptionRow], now: int) -> str:
    head = ["venue", "symbol", "channel", "state", "#last event", "#lag ms", "#gaps", "#missing", "book", "reason"]
    shown = [
        [
            escape(one.provider), escape(one.symbol), escape(f"{one.channel} {one.timeframe or ''}"), _word(one.state),
            "never" if one.last_event is None else f"{max(0, now - one.last_event) / 1e9:.1f} s ago", _ms(one.lag_ms),
            one.gaps, one.missing, escape(one.book_state or ""), escape(one.reason),
        ]
        for one in rows[:ROWS_MAX]
    ]  # fmt: skip
    more = f"<p class=note>and {len(rows) - ROWS_MAX:,} more in /status</p>" if len(rows) > ROWS_MAX else ""
    return _table(head, shown) + more


def _table(head: list[str], rows: list[list[object]]) -> str:
    """A column whose head begins with # holds numbers. Cells are HTML already."""
    if not rows:
        return "<p class=note>none</p>"
    numbers = [name.startswith("#") for name in head]

    def cells(tag: str, row: list[object]) -> str:
        return "".join(f"<{tag}{' class=n' if n else ''}>{cell}</{tag}>" for n, cell in zip(numbers, row, strict=True))

    names: list[object] = [name.removeprefix("#") for name in head]
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells("th", names)}</tr>{body}</table></div>'


def _word(state: str) -> str:
    return f'<span class="{escape(state)}">{escape(state)}</span>'


def _ms(lag: float | None) -> str:
    return "" if lag is None else f"{lag:,.1f}"


def duration(seconds: int) -> str:
    """`2 d 3 h`, `4 min 5 s`: the two largest units."""
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
