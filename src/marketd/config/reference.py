"""docs/config.md, docs/metrics.md and .env.example, written from the code by `python -m marketd.config.reference`."""

import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from marketd.config.model import Config
from marketd.config.sources import profile_names, read_profile
from marketd.config.variables import VARIABLES, VENUE_ENDINGS
from marketd.log.codes import CODES
from marketd.metrics import Metrics
from marketd.secrets import Secret
from marketd.venues import VENUES, source_named
from marketd.venues.provider import MarketDataProvider
from marketd.venues.section import VenueConfig

HEAD = """# Configuration

Layers, lowest first: the profile, the config file (`-c FILE`, else `./config.yaml` if there is one), the variables of `.env`
in the working directory (or of `--env-file`), the environment, the flags. A layer covers those below it key by key; a list
is covered as a whole.

- Without a profile by name, the `exchanges` of a config file are the whole list of venues; with `--profile` they are added
  to its own.
- An unknown key or a value that is not allowed ends the start with exit code 2 and one line that names the key, who set it,
  and what is allowed.
- Secrets come from the environment, from `.env`, or from the file that `NAME_FILE` names. Only `database.url` may hold a
  password in the config file.
- Any key can be set as `MARKETD__SECTION__KEY`, as `MARKETD__BUS__CAPACITY=100000`; lists with commas.
- `marketd check` prints what would start, with every address and without any secret.

This page is written from the code: `python -m marketd.config.reference` after a change of settings or metrics.
"""


def config_page() -> str:
    """docs/config.md."""
    parts = [HEAD, "## Profiles\n", PROFILES_HEAD]
    for name in profile_names():
        profile = read_profile(name)
        roles = ", ".join(profile["roles"]) or "none: serves what is stored"
        data_dir = f"`{profile['data_dir']}`" if "data_dir" in profile else ""
        parts.append(f"| `{name}` | {roles} | {profile['api']['port']} | {data_dir} |")
    parts += ["\n## Variables\n", "| variable | key | default | meaning |\n|---|---|---|---|"]
    for one in VARIABLES:
        files = f" (or `{one.name}_FILE`)" if one.secret else ""
        parts.append(f"| `{one.name}`{files} | `{one.key}` | {_code(one.default)} | {one.meaning} |")
    for ending, key in VENUE_ENDINGS.items():
        parts.append(f"| `<VENUE>_{ending}` | `exchanges.NAME.{key}` | | {_venue_meaning(key)} |")
    single: list[str] = []
    sections: list[str] = []
    for name, field in Config.model_fields.items():
        model = _model(field)
        if model is None:
            single.append(_row(field.alias or name, field))
        else:
            key = f"{field.alias or name}.NAME" if get_origin(field.annotation) is dict else (field.alias or name)
            sections += _section(key, model)
    parts += ["\n## Keys without a section\n", _TABLE, *single, *sections]
    return "\n".join(parts) + "\n"


PROFILES_HEAD = """A profile without a data directory of its own uses `./marketd-data`. `live-ingest`, which is also what
`marketd run --provider ...` starts, writes into the working directory; `--data-dir` or `MARKETD_DATA_DIR` names another.

| profile | roles | port | data directory |
|---|---|---|---|"""
_TABLE = "| key | type | default | meaning |\n|---|---|---|---|"


def _section(key: str, model: type[BaseModel]) -> list[str]:
    rows, inner = [], []
    for name, field in model.model_fields.items():
        below = _model(field)
        if below is None:
            rows.append(_row(f"{key}.{name}", field))
            below = _listed(field)
        if below is not None:
            inner += _section(f"{key}.{name}", below)
    if not rows:
        return inner
    about = " ".join((model.__doc__ or "").split())
    words = [f"{about}\n"] * bool(about)
    return [f"\n## `{key}`\n", *words, _TABLE, *rows, *inner]


def _model(field: FieldInfo) -> type[BaseModel] | None:
    kind: Any = get_args(field.annotation)[1] if get_origin(field.annotation) is dict else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _listed(field: FieldInfo) -> type[BaseModel] | None:
    """What the setting is a list of, if those have settings of their own."""
    kind: Any = get_args(field.annotation)[0] if get_origin(field.annotation) is tuple else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _row(name: str, field: FieldInfo) -> str:
    bounds = [str(one) for one in (getattr(part, "ge", None) for part in field.metadata) if one is not None]
    kind = _kind(field.annotation) + (f", from {bounds[0]}" if bounds else "")
    return f"| `{name}` | {kind} | {_default(field)} | {' '.join((field.description or '').split())} |"


def _kind(annotation: Any) -> str:
    if annotation in (SecretStr, Secret):
        return "secret"
    parts = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is tuple:
        kind = _kind(parts[0])
        return "list of sections, below" if kind == "section" else f"list of {kind}"
    if parts and all(isinstance(one, str) for one in parts):
        return ", ".join(f"`{one}`" for one in parts)
    if parts:
        return _kind(parts[0])
    names = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "Decimal": "number",
        "bool": "true or false",
        "Path": "path",
        "SecretUrl": "address",
        "RuleConfig": "rules",
    }
    return names.get(annotation.__name__, "section")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined or value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return _code(str(value).lower())
    if isinstance(value, tuple):
        return _code(", ".join(map(str, value)))
    return _code(f"{value:g}" if isinstance(value, float) else str(value))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _venue_meaning(key: str) -> str:
    return VenueConfig.model_fields[key].description or ""


def env_example() -> str:
    """.env.example: every variable with its default, commented out so that a copy changes nothing."""
    lines = ["# Every variable with its default. Copy to .env and uncomment what you change; an empty value counts as unset."]
    for one in VARIABLES:
        files = f"; or {one.name}_FILE, a file that holds it" if one.secret else ""
        lines += ["", f"# {one.meaning[0].upper()}{one.meaning[1:]}{files}", f"#{one.name}={one.default}"]
    lines += ["", "# Each venue's addresses; these are the venues' own"]
    for name in VENUES:
        venue = source_named(name, {})
        if isinstance(venue, MarketDataProvider):
            continue
        lines += [f"#{name.upper()}_WS_URL={venue.stream_url}", f"#{name.upper()}_REST_URL={venue.rest_url}"]
        if venue.dry:
            lines += [
                "# Live with both of these (or KEY_FILE and SECRET_FILE) and DRY_RUN=false; else dry: heartbeats only",
                f"#{name.upper()}_KEY=",
                f"#{name.upper()}_SECRET=",
                f"#{name.upper()}_DRY_RUN=true",
            ]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """docs/metrics.md."""
    rows = []
    for one in vars(Metrics()).values():
        if isinstance(one, MetricWrapperBase):
            family = next(iter(one.describe()))
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in one._labelnames)
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    for name, kind, text in OF_THE_PROCESS:
        rows.append(f"| `{name}` | {kind} |  | {text} |")
    return "\n".join([METRICS_HEAD, "| metric | kind | labels | meaning |\n|---|---|---|---|", *rows]) + "\n"


def operations_page(page: str) -> str:
    """docs/operations.md with its table of codes written anew."""
    before, head, rest = page.partition(CODES_HEAD)
    assert head, "docs/operations.md has a table of codes"
    after = rest.partition("\n\n")[2]
    rows = [f"| `{name}` | {code.cause} | {code.effect} | {code.next} |" for name, code in CODES.items()]
    return "\n".join([before + head.rstrip("\n"), *rows]) + "\n" + (f"\n{after}" if after else "")


# What the client library itself measures, on Linux only: written here, so that this page is the same wherever it is made.
OF_THE_PROCESS = (
    ("process_cpu_seconds_total", "counter", "Processor time used (these: on Linux, where /proc/stat can be read)"),
    ("process_resident_memory_bytes", "gauge", "Memory in use"),
    ("process_virtual_memory_bytes", "gauge", "Addresses in use"),
    ("process_open_fds", "gauge", "Open files and sockets"),
    ("process_max_fds", "gauge", "Files and sockets that may be open"),
    ("process_start_time_seconds", "gauge", "When the process began"),
)
CODES_HEAD = "| code | cause | effect on the data | next step |\n|---|---|---|---|\n"
METRICS_HEAD = """# Metrics

`GET /metrics` answers in the Prometheus text format. It never needs a token.
Histograms are in the unit that their name ends with.
The first 64 venues and the first `sinks.prometheus.symbols_max` symbols (2,000) that a process sees have `market_` series of
their own; further ones are counted under `other`. So are symbols beyond 2,000 in the `senpai_` series.

This page is written from the code: `python -m marketd.config.reference`.
"""


def write(root: Path) -> None:
    (root / "docs" / "config.md").write_text(config_page())
    operations = root / "docs" / "operations.md"
    operations.write_text(operations_page(operations.read_text()))
    (root / "docs" / "metrics.md").write_text(metrics_page())
    (root / ".env.example").write_text(env_example())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
