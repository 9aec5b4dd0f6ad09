"""The commands by name: each has a file of that name, loaded when it is asked for, as what it needs takes a second."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from marketd.loading import loading

SUMMARIES = {
    "demo": "Everything, on simulated venues: no network, no accounts, no servers. Ctrl-C stops it.",
    "run": "Collect, check, repair and record, until Ctrl-C.",
    "check": "Validate the configuration, show what would start, and ask every venue, the database, NATS and Redis. "
    "Secrets are masked.",
    "replay": "Replay a capture to the configured sinks, by default SQLite and JSONL in the data directory. "
    "No other input or output.",
    "symbols": "What a venue lists, asked of the venue now.",
    "trades": "Stored trades, oldest first, with the venue's digits.",
    "backfill": "Fetch candles into the archive. Stopped or killed, the same command goes on where it was; "
    "what is known is not asked for.",
    "gaps": "Gaps of the archive: what is missing or cannot be had any more, each with its state and cause; "
    "with `--all` also what was and is repaired, and outages of the venue.",
    "candles": "Stored candles, oldest first, with the venue's digits; `closed` says whether one can still change.",
    "verify": "Compare stored candles with another account of them, by value, and the ledger with what is stored.",
    "backtest": "Trade stored candles on paper, by the same code as the live services and the sections `analysis` and `paper`.",
    "tail": "The last entries of an event file or a Redis stream, what is said on a NATS subject; "
    "--count 0 follows, until Ctrl-C.",
    "sim": "Simulated venues that speak the real ones' protocols. Prints the variables that point marketd at them.",
    "db": "The database of the candle archive.",
}


def command(name: str) -> Any:
    """The command, or the group of commands, as its file has it."""
    with loading():
        found = import_module(f"marketd.cli.{name}")
    if hasattr(found, "app"):
        return get_command(found.app)
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    one.command(name)(getattr(found, name))
    return get_command(one)


class Commands(TyperGroup):
    """Lists the commands by their summaries alone; help and completion of the program load none of them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and command(str(known.name)), rest
