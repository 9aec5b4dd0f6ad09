"""All there is has its page, and what the pages name is there: settings, metrics, venues, codes, paths, options, files."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel

from marketd.api.app import build_app, rules_of
from marketd.api.section import ApiConfig
from marketd.api.views import Views
from marketd.cli.commands import SUMMARIES, command
from marketd.clock import ManualClock
from marketd.config.model import Config
from marketd.config.sources import profile_names
from marketd.config.variables import VARIABLES, VENUE_ENDINGS
from marketd.log import CODES
from marketd.metrics import Metrics
from marketd.sim.faults import FAULTS
from marketd.venues import VENUES
from tests.test_documentation import PAGES, ROOT, check_make, check_marketd, split

UsageError: Any = typer.BadParameter.__mro__[1]
# Promised to whoever set them for the services that marketd replaces: these may never go.
VARIABLES_PROMISED = """
    HTTP_PORT HTTP_HOST HEALTH_PORT DATABASE_URL NATS_URL NATS_ENABLED NATS_SUBJECT_PREFIX USE_JETSTREAM REDIS_URL
    PAIRS_PER_CONNECTION COINGECKO_API_KEY COINGECKO_PLAN COINGECKO_URL PAIRS_LIMIT FALLBACK_PAIRS DISCOVERY_REFRESH_SEC
    STREAM_MAXLEN FEATURES_PUB_RATE_HZ SIGNAL_RETURN_THRESHOLD SIGNAL_VOLUME_THRESHOLD SIGNAL_SPREAD_BPS
    ROLLING_WINDOW_SECONDS MARKETD_DATA_DIR MARKETD_API_TOKEN MARKETD_LOG_FORMAT
    <VENUE>_WS_URL <VENUE>_REST_URL <VENUE>_KEY <VENUE>_SECRET <VENUE>_DRY_RUN
"""


def config_keys(section: type[BaseModel] = Config, above: str = "") -> Iterator[str]:
    """Every setting as it is written in a file: `sinks.jsonl.path`; the settings of one exchange under `exchanges.NAME`."""
    for name, field in section.model_fields.items():
        key = f"{above}{field.alias or name}"
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        sections = [kind for kind in inner if issubclass(kind, BaseModel)]
        if field.exclude:
            continue
        if sections:
            yield from config_keys(sections[0], f"{key}.NAME." if get_origin(field.annotation) is dict else f"{key}.")
        else:
            yield key


def metric_names() -> Iterator[str]:
    for family in Metrics().registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def variables() -> set[str]:
    return {*VARIABLES_PROMISED.split(), *(one.name for one in VARIABLES), *(f"<VENUE>_{ending}" for ending in VENUE_ENDINGS)}


def sinks() -> list[str]:
    return [path.stem for path in (ROOT / "src/marketd/sinks").glob("[a-z]*.py") if "async def write(" in path.read_text()]


OF_ITSELF = {"GET /docs", "GET /openapi.json", "GET /asyncapi.json"}


@cache
def endpoints() -> tuple[str, ...]:
    """`GET /candles`, as the API describes itself where every role runs."""
    views = Views("", (), 0, ManualClock(), Metrics(), None)  # type: ignore[arg-type]  # nobody asks these routes anything
    paths = build_app(ApiConfig(), views, rules_of(ApiConfig(), "")).openapi()["paths"]
    return tuple(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)


def documented_endpoints() -> list[str]:
    """What is for programs; the page and the description itself are named in words."""
    return [one for one in endpoints() if one not in {"GET /", "GET /plain", *OF_ITSELF, "GET /ws"}]


def options(found: Any) -> Iterator[str]:
    for one in getattr(found, "commands", {}).values():
        yield from options(one)
    for parameter in found.params:
        yield from (word for word in parameter.opts if word.startswith("--") and word != "--help")


def words_of_the_command_line() -> set[str]:
    return {*SUMMARIES, *(option for name in SUMMARIES for option in options(command(name)))}


# What has to be named where, between backticks or in a table's cell.
NAMED: dict[str, tuple[str, Callable[[], Iterable[str]]]] = {
    "a venue": ("docs/venues.md", lambda: VENUES),
    "a sink": ("docs/sinks.md", sinks),
    "a metric": ("docs/metrics.md", metric_names),
    "a setting": ("docs/config.md", config_keys),
    "a variable": ("docs/config.md", variables),
    "a profile": ("docs/profiles.md", profile_names),
    "a warning": ("docs/operations.md", lambda: CODES),
    "a path of the API": ("docs/api.md", documented_endpoints),
    "a command or option": ("docs/cli.md", words_of_the_command_line),
    "a fault": ("docs/sim.md", lambda: FAULTS),
}


def unnamed(names: Iterable[str], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)", text)]


@pytest.mark.parametrize("what", NAMED)
def test_all_there_is_has_its_page(what: str) -> None:
    page, names = NAMED[what]

    assert unnamed(names(), (ROOT / page).read_text()) == []


@pytest.mark.parametrize("what", NAMED)
def test_one_that_loses_its_place_is_missed(what: str) -> None:
    """Each in turn: so that none is only found within another's name."""
    page, names = NAMED[what]
    text = (ROOT / page).read_text()
    found = list(names())

    assert found
    for name in found:
        without = re.sub(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)", "", text)
        assert unnamed([name], without) == [name]


def codes_of(path: Path) -> Iterator[str]:
    """What stands between backticks, outside blocks."""
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(path: Path) -> None:
    assert [f"{kind}: {code}" for code in codes_of(path) for kind in kinds_missing(code, path)] == []


KEYS = set(config_keys())
KEYS |= {key.rsplit(".", count)[0] for key in KEYS for count in range(1, key.count(".") + 1)}
SECTIONS = {key.split(".")[0] for key in KEYS}
METRICS = set(metric_names())
PLACES = (ROOT, ROOT / "src" / "marketd", ROOT / "docs")
FILE = re.compile(r"(?:[\w@-]+/)+[\w@.-]+\.(?:py|md|ya?ml|tsx?|json|service|toml|html|css)")
TARGETS = re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
ENDING = re.compile(r"_(bucket|count|sum)$")


def kinds_missing(code: str, path: Path) -> Iterator[str]:
    """As what this code could be read, and is not there."""
    key = re.sub(rf"^exchanges\.({'|'.join(VENUES)})\b", "exchanges.NAME", code)
    if re.fullmatch(r"[a-z_]+(\.[a-zA-Z_]+)+", key) and key.split(".")[0] in SECTIONS and key not in KEYS and not is_said(code):
        yield "a setting"
    if re.fullmatch(r"(market|marketd|senpai)_[a-z_]+", code) and ENDING.sub("", code) not in METRICS:
        yield "a metric"
    if FILE.fullmatch(code) and not any((place / code).exists() for place in (*PLACES, path.parent)):
        yield "a file"
    if re.fullmatch(r"(GET|PUT|POST) /[\w/.-]*", code) and code not in {*endpoints(), *OF_ITSELF}:
        yield "a path of the API"
    if found := re.fullmatch(r"(marketd|make) ([a-z][a-z0-9-]*)( .*)?", code):
        names = SUMMARIES if found[1] == "marketd" else TARGETS
        yield from [] if found[2] in names and (not found[3] or is_a_command(code)) else ["a command"]


def is_a_command(code: str) -> bool:
    """With its options; where words stand for something, they are not looked at."""
    if re.search(r"\.\.\.|[<>|\[]|\b[A-Z]{2,}\b|--help", code):
        return True
    program, *words = split(code)
    try:
        (check_marketd if program == "marketd" else check_make)(words)
    except UsageError:
        return False
    return True


@cache
def source() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))


def is_said(code: str) -> bool:
    """As the event of a log line, perhaps with the name of its part before it; as a part with its venue; or it is a file."""
    if code.partition(".")[2] in VENUES:
        return True
    is_a_file = code.endswith(".py") and any((ROOT / "src").rglob(code))
    return is_a_file or f'"{code}"' in source() or f'}}.{code.partition(".")[2]}"' in source()
