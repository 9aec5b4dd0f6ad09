"""A back-test's result for a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from marketd.backtest.result import Result, Trade
from marketd.model.times import iso_of_ns

TRADES_MAX = 20  # shown; the other forms have all
WIDTH = 160


def tables_text(result: Result) -> str:
    """What came of it, then coins, rules and the newest trades."""
    console = Console(highlight=False, width=WIDTH)
    with console.capture() as captured:
        for heading, value in summary_of(result):
            console.print(f"{heading:<22}{value}", markup=False, soft_wrap=True)
        _show(console, "coins", *coins_of(result))
        _show(console, "rules", *rules_of(result))
        _show(console, _trades_title(result), *trades_of(result.trades[-TRADES_MAX:]))
        for line in notes_of(result):
            console.print(f"note: {line}", markup=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def summary_of(result: Result) -> list[tuple[str, str]]:
    """The figures that one looks at first."""
    fall, closed = result.drawdown, result.closed
    where = "" if fall.start is None or fall.bottom is None else f", {minute(fall.start)} to {minute(fall.bottom)}"
    recovered = (
        "" if fall.start is None else ", not recovered" if fall.recovered is None else f", recovered {minute(fall.recovered)}"
    )
    coins = f"{len(result.coins):,} coin{'' if len(result.coins) == 1 else 's'}"
    factor = "none lost" if result.profit_factor is None else f"{result.profit_factor:.2f}"
    return [
        (
            "back-test",
            f"{result.venue}, {coins}, {result.timeframe}; on paper only",
        ),
        ("span", f"{minute(result.start)} to {minute(result.end)} UTC"),
        ("equity", f"{money(result.cash)} to {money(result.equity)}"),
        ("profit", f"{money(result.profit)} ({result.profit_percent:+.2f} %), after fees of {money(result.fees)}"),
        ("max drawdown", f"{fall.percent:.2f} % ({money(fall.amount)}){where}{recovered}"),
        ("trades", f"{len(closed):,} closed, {len(result.trades) - len(closed)} open at the end"),
        ("won", f"{result.won:,} of {len(closed):,}{f' ({100 * result.won / len(closed):.1f} %)' if closed else ''}"),
        ("profit factor", factor if closed else "no trade was closed"),
        ("exposure", f"{result.exposure_percent:.1f} % of the time"),
        ("refused signals", ", ".join(f"{count} {name}" for name, count in result.refusals.items()) or "none"),
    ]


Rows = list[tuple[str, ...]]


def coins_of(result: Result) -> tuple[Sequence[str], Rows]:
    heads = ("coin", "candles", "missing", "price", "signals", "trades", "won", "profit", "fees")
    return heads, [
        (
            coin.symbol, f"{coin.candles:,}", f"{sum(hole.candles for hole in coin.holes):,}", f"{coin.change_percent:+.2f} %",
            str(coin.signals), str(coin.trades), str(coin.won), money(coin.profit), money(coin.fees),
        )
        for coin in result.coins
    ]  # fmt: skip


def rules_of(result: Result) -> tuple[Sequence[str], Rows]:
    heads = ("rule", "signals", "trades", "won", "profit")
    return heads, [(one.rule, str(one.signals), str(one.trades), str(one.won), money(one.profit)) for one in result.rules]


def trades_of(trades: Iterable[Trade]) -> tuple[Sequence[str], Rows]:
    heads = (
        "coin",
        "direction",
        "rule",
        "opened",
        "entry",
        "closed",
        "exit",
        "why",
        "size",
        "fees",
        "profit",
        "",
        "candles",
        "score",
    )
    return heads, [
        (
            one.symbol, one.direction, one.rule, minute(one.opened), price(one.entry),
            "open" if one.closed is None else minute(one.closed), "" if one.exit is None else price(one.exit),
            "" if one.why is None else one.why.replace("_", "-"), f"{one.size:f}", money(one.fees), money(one.profit),
            f"{one.profit_percent:+.2f} %", str(one.candles), "" if one.score is None else f"{one.score:.0f}",
        )
        for one in trades
    ]  # fmt: skip


def notes_of(result: Result) -> list[str]:
    """What a reader has to know to believe the figures: who was left out, what is missing, what could not be judged."""
    found = [f"{symbol} was left out: {why}" for symbol, why in result.left_out.items()]
    for coin in result.coins:
        named = ", ".join(f"{iso_of_ns(one.start)} to {iso_of_ns(one.stop)}" for one in coin.holes[:3])
        more = f" and {len(coin.holes) - 3} more" if len(coin.holes) > 3 else ""
        if coin.holes:
            found.append(f"{coin.symbol}: candles are missing from {named}{more}")
    unsaid: dict[int, list[str]] = {}
    for coin in result.coins:
        if coin.unsaid:
            unsaid.setdefault(coin.unsaid, []).append(coin.symbol)
    for candles, symbols in sorted(unsaid.items()):
        named = ", ".join(symbols) if len(symbols) <= 5 else f"each of {len(symbols)} coins"
        found.append(f"no signals at {candles:,} candles of {named}, for want of 500 whole ones")
    return found + list(result.troubles)


def money(value: Decimal) -> str:
    """Two digits after the point, more for what would show as nothing."""
    return f"{value:,.2f}" if not value or abs(value) >= Decimal("0.01") else f"{value:.8f}"


def price(value: Decimal) -> str:
    """Seven digits that count, which is more than a coin moves by."""
    return f"{float(value):,.{max(2, 7 - len(str(int(value))))}f}" if value >= 1 else f"{value:.{6 - value.adjusted()}f}"


def minute(ts: int) -> str:
    return datetime.fromtimestamp(ts // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def _trades_title(result: Result) -> str:
    return f"the last {TRADES_MAX} of {len(result.trades):,} trades" if len(result.trades) > TRADES_MAX else "trades"


def _show(console: Console, title: str, heads: Sequence[str], rows: Rows) -> None:
    console.print(f"\n{title}", markup=False)
    table = Table(box=None, pad_edge=False)
    words = {"coin", "rule", "direction", "opened", "closed", "why"}
    for head in heads:
        table.add_column(head, no_wrap=True, justify="left" if head in words else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table if rows else "none")
