"""The program: its commands, and the one place where a failure becomes one line and an exit code."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from marketd.cli.commands import SUMMARIES, Commands
from marketd.errors import ConfigError, MarketdError, words_of
from marketd.secrets import masked

OK, FAILURE, USAGE = 0, 1, 2

# What typer raises for a wrong command line, without naming the package that it has them from.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="marketd",
    cls=Commands,
    help="One daemon for market data: complete, exact and accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for named, summary in SUMMARIES.items():
    app.command(named, help=summary)(lambda: None)


def _version(wanted: bool) -> None:
    if wanted:
        from marketd.api.app import installed_version

        print(f"marketd {installed_version()}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """One daemon for market data: complete, exact and accounted for."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 ok, 1 failure, 2 usage or config."""
    try:
        result = app(list(sys.argv[1:] if words is None else words), prog_name="marketd", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return FAILURE
    except ConfigError as error:
        return _fail(str(error), USAGE)
    except MarketdError as error:
        return _fail(str(error), FAILURE)
    except UsageError as error:
        return _usage(error)
    except BrokenPipeError:  # the reader of our output has gone: `marketd tail ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or words_of(error)}", FAILURE)
    except BaseExceptionGroup as group:
        return _first_of(group)
    except Exception as error:
        return _mistake(error)
    return result if result in (OK, USAGE) else OK if result is None else FAILURE


def _first_of(group: BaseExceptionGroup[BaseException]) -> int:
    """A task group wraps what went wrong: the first fault of the world in it is told."""
    config = _leaves(group, ConfigError)
    world = _leaves(group, MarketdError)
    if config:
        return _fail(str(config[0]), USAGE)
    if world:
        return _fail(str(world[0]), FAILURE)
    if _leaves(group, KeyboardInterrupt):
        return FAILURE
    return _mistake(group)


def _leaves(group: BaseExceptionGroup[BaseException], kind: type[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            found += _leaves(one, kind)
        elif isinstance(one, kind):
            found.append(one)
    return found


def _usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "marketd"
    message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    return _fail(f"{message.rstrip('.')} (see {command} --help)", USAGE) if message else USAGE  # the help has been shown


def _fail(line: str, code: int) -> int:
    print(f"marketd: {masked(' '.join(line.split()))}", file=sys.stderr)
    return code


def _mistake(error: BaseException) -> int:
    """Our own mistake: the details go to a file, one line to the person."""
    path = Path(tempfile.gettempdir()) / f"marketd-error-{os.getpid()}.log"
    try:
        path.write_text(masked("".join(traceback.format_exception(error))))
        where = f"details are in {path}"
    except OSError:
        where = "its details could not be written"
    return _fail(f"unexpected {type(error).__name__}: {error}; {where}; please report it", FAILURE)
