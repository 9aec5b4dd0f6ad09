"""A back-test's result as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Sequence
from html import escape

from marketd.backtest.curve import curve
from marketd.backtest.result import Result
from marketd.backtest.tables import Rows, coins_of, minute, notes_of, rules_of, summary_of, trades_of

STYLE = """
:root { --ink: #1b2430; --paper: #fbfaf7; --faint: #d9d5cb; --quiet: #6b7280; --line: #1f6f8b; --fall: #c2552d; --gain: #2f7d4f }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e2d8; --paper: #15191f; --faint: #333a44; --quiet: #98a0ab;
  --line: #6cc0dc; --fall: #e58a63; --gain: #7ccb9b } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 1280px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem } p { margin: .3rem 0; color: var(--quiet) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 1.5rem 0 } dt { color: var(--quiet) }
dd { margin: 0 } svg { width: 100%; height: auto; display: block } svg text { font-size: 12px; fill: var(--quiet) }
.level { stroke: var(--faint) } .start { stroke: var(--quiet); stroke-dasharray: 3 4 }
.equity { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round }
.drawdown { fill: var(--fall); fill-opacity: .35; stroke: var(--fall); stroke-width: 1 }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: 13px }
th { text-align: right; font-weight: 600; color: var(--quiet); white-space: nowrap }
td { text-align: right; white-space: nowrap; border-top: 1px solid var(--faint) } th, td { padding: .3rem .45rem }
.w { text-align: left } .loss { color: var(--fall) } .gain { color: var(--gain) } li { color: var(--quiet) }
""".strip()
HOW = (
    "On paper only: nothing of it ever reached a venue. Entries are filled at the open of the candle after the signal, exits "
    "at their level or at an open beyond it, with fees, half of the spread and slippage."
)
WORDS = {"coin", "rule", "direction", "opened", "closed", "why", "setting", "value"}


def page_text(result: Result) -> str:
    title = f"Back-test: {result.venue}, {result.timeframe}, {minute(result.start)[:10]} to {minute(result.end)[:10]}"
    summary = "".join(f"<dt>{escape(head)}</dt><dd>{escape(value)}</dd>" for head, value in summary_of(result)[2:])
    notes = "".join(f"<li>{escape(line)}</li>" for line in notes_of(result))
    span = f"{minute(result.start)} to {minute(result.end)} UTC"
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(span)}. {HOW}</p>",
        f"<dl>{summary}</dl>",
        f"<h2>Equity and drawdown</h2>{curve(result.points)}",
        f"<h2>Coins</h2>{_table(*coins_of(result))}",
        f"<h2>Rules</h2>{_table(*rules_of(result))}",
        f"<h2>Trades</h2>{_table(*trades_of(result.trades))}",
        f"<h2>What is missing</h2><ul>{notes}</ul>" if notes else "",
        f"<h2>Settings</h2>{_table(('setting', 'value'), _settings(result))}",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )


def _settings(result: Result) -> Rows:
    return [
        (f"{section}.{key}", ", ".join(map(str, value)) if isinstance(value, list) else "null" if value is None else str(value))
        for section, keys in result.settings.items()
        for key, value in keys.items()
    ]


def _table(heads: Sequence[str], rows: Rows) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th{' class=w' if name in WORDS else ''}>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(_cell(name, text) for name, text in zip(heads, row, strict=True))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, text: str) -> str:
    kind = "w" if name in WORDS else ""
    if name == "profit" and text != "0.00":
        kind = "loss" if text.startswith("-") else "gain"
    return f"<td{f' class={kind}' if kind else ''}>{escape(text)}</td>"
