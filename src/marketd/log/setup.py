"""How lines are made: levels, codes, masking, repeats, and the two forms."""

import io
import logging
import sys
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog

from marketd.clock import SystemClock
from marketd.log.codes import CODES
from marketd.log.events import code_of
from marketd.log.repeats import Repeats
from marketd.log.section import LoggingConfig
from marketd.secrets import MASK, is_secret_key, masked

FILE_BYTES = 64 * 1024 * 1024
TEXT_MAX = 16_384  # letters of one value of a line

Line = MutableMapping[str, Any]

_hidden: set[str] = set()


class StandardError(io.TextIOBase):
    """Standard error as it is now: a table that is drawn there may have put itself in between."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def hide(word: str) -> None:
    """From now on this word is masked in every line."""
    if len(word) >= 4:
        _hidden.add(word)


def configure(config: LoggingConfig, data_dir: Path = Path(), stream: TextIO | io.TextIOBase | None = None) -> None:
    """Set up logging for the process, the libraries' included. May be called again."""
    out = stream or StandardError()
    text = config.format == "text" or (config.format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[config.level.upper()]
    chain: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        add_code,
        structlog.processors.format_exc_info,
        mask,
    ]
    repeats = Repeats(config.repeat_first, config.repeat_interval_s, SystemClock.monotonic)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            repeats,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handlers: list[logging.Handler] = [_handler(logging.StreamHandler(out), chain, text, out.isatty())]
    if config.file is not None:
        path = data_dir / config.file
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_handler(RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=3), chain, False, False))
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "of_marketd", False):
            root.removeHandler(old)
            if not isinstance(old, logging.StreamHandler) or isinstance(old, logging.FileHandler):
                old.close()
    for handler in handlers:
        handler.of_marketd = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "uvicorn.error", "uvicorn.access", "picows", "asyncio", "alembic"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _handler(handler: logging.Handler, chain: list[structlog.typing.Processor], text: bool, colors: bool) -> logging.Handler:
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="ts", pad_event_to=0)
        if text
        else structlog.processors.JSONRenderer(default=str)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    return handler


def add_code(_: object, method: str, line: Line) -> Line:
    """A warning or error carries its code; the first of equal ones also what it means for the data and what to do."""
    if method in ("warning", "error") and "code" not in line and (known := code_of(str(line.get("event")))) is not None:
        line["code"] = known
    code = CODES.get(str(line.get("code")))
    if not line.pop("is_repeated", False) and code is not None:
        line.setdefault("cause", code.cause)
        line.setdefault("effect", code.effect)
        line.setdefault("next", code.next)
    return line


def mask(_: object, method: str, line: Line) -> Line:
    """No line shows a password, key or token."""
    for key, value in line.items():
        if key.startswith("_"):
            continue
        if is_secret_key(key) and value not in (None, "", False):
            line[key] = MASK
        else:
            line[key] = _masked_value(value)
    return line


def _masked_value(value: Any) -> Any:
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, bytes):
        return _shown(value.decode(errors="backslashreplace"))
    if isinstance(value, dict):
        return {key: MASK if is_secret_key(str(key)) else _masked_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _shown(str(value))


def _shown(text: str) -> str:
    """Masked, then cut where it is too long: cut before, half a password might no longer look like one."""
    text = masked(text, _hidden)
    if len(text) <= TEXT_MAX:
        return text
    part = TEXT_MAX // 2  # an exception says at its end what it was
    return f"{text[:part]} ... ({len(text) - 2 * part:,} letters left out) ... {text[-part:]}"
