"""The environment variables by their outside names, and the keys they set."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from marketd.errors import ConfigError

PREFIX = "MARKETD__"


@dataclass(frozen=True)
class Variable:
    name: str
    key: str  # where it lands in the config; `exchanges.*` is every venue
    default: str  # as `.env.example` shows it
    meaning: str
    secret: bool = False  # can also come from the file named by NAME_FILE


VARIABLES: tuple[Variable, ...] = (
    Variable("HTTP_PORT", "api.port", "8100", "port of the API; each profile has its own"),
    Variable("HTTP_HOST", "api.host", "127.0.0.1", "address the API is bound to"),
    Variable("HEALTH_PORT", "api.port", "8099", "the same as HTTP_PORT, for profile trade-streams only; HTTP_PORT wins"),
    Variable("MARKETD_DATA_DIR", "data_dir", "./marketd-data", "where databases, event files and spills are"),
    Variable(
        "MARKETD_API_TOKEN",
        "api.token",
        "",
        "token for the API; unset: reading is open, changing needs the one in api-token",
        True,
    ),
    Variable("MARKETD_LOG_FORMAT", "logging.format", "auto", "text, json, or auto: text on a terminal, else json"),
    Variable("PAIRS_PER_CONNECTION", "exchanges.*.pairs_per_connection", "50", "symbols on one combined connection, up to 100"),
    Variable("DATABASE_URL", "database.url", "", "candle store; unset: SQLite in the data directory", True),
    Variable(
        "NATS_URL", "nats.url", "nats://localhost:4222", "NATS server; several of a cluster with commas; tls:// for TLS", True
    ),
    Variable(
        "NATS_ENABLED",
        "nats.enabled",
        "false",
        "publish to NATS: true, false, or auto (from when the server is there; live-ingest does)",
    ),
    Variable("NATS_SUBJECT_PREFIX", "nats.subject_prefix", "md.events", "first part of every subject"),
    Variable("USE_JETSTREAM", "nats.jetstream", "false", "durable streams instead of plain subjects"),
    Variable("REDIS_URL", "redis.url", "redis://localhost:6379/0", "Redis server", True),
    Variable("STREAM_MAXLEN", "redis.stream_maxlen", "10000", "entries kept in a Redis stream, approximately"),
    Variable("COINGECKO_API_KEY", "discovery.api_key", "", "key for pair discovery", True),
    Variable("COINGECKO_PLAN", "discovery.plan", "demo", "demo or pro"),
    Variable("COINGECKO_URL", "discovery.url", "", "base address instead of the service's own"),
    Variable("PAIRS_LIMIT", "discovery.limit", "200", "pairs in all, fallback pairs included and first"),
    Variable("FALLBACK_PAIRS", "discovery.fallback_pairs", "BTCUSDT,ETHUSDT,SOLUSDT", "pairs that are always there"),
    Variable("DISCOVERY_REFRESH_SEC", "discovery.refresh_s", "3600", "seconds between two discoveries"),
    Variable("FEATURES_PUB_RATE_HZ", "features.rate_hz_max", "10", "feature messages a second and symbol, at most"),
    Variable("SIGNAL_RETURN_THRESHOLD", "features.signal_return", "0.003", "return in 10 s from which a signal is sent"),
    Variable("SIGNAL_VOLUME_THRESHOLD", "features.signal_volume", "1.0", "volume in 10 s from which a signal is sent"),
    Variable("SIGNAL_SPREAD_BPS", "features.signal_spread_bps", "20", "spread below which a signal is sent"),
    Variable("ROLLING_WINDOW_SECONDS", "features.window_s", "60", "length of the rolling window"),
)

VENUE_ENDINGS = {  # VENUE_ENDING sets exchanges.venue.key, for each venue that is configured
    "WS_URL": "ws_url",
    "REST_URL": "rest_url",
    "KEY": "key",
    "SECRET": "secret",
    "DRY_RUN": "dry_run",
}
_SECRET_ENDINGS = {"KEY", "SECRET"}

Setting = tuple[str, tuple[str, ...], str]  # the variable, the key's parts, the text


def read_variables(environ: Mapping[str, str], profile: str) -> Iterator[Setting]:
    """What the environment sets, lowest first. Raises ConfigError for a secret given twice or a file that cannot be read."""
    for variable in sorted(VARIABLES, key=lambda one: one.name != "HEALTH_PORT"):
        if variable.name == "HEALTH_PORT" and profile != "trade-streams":
            continue
        found = _lookup(environ, variable.name, variable.secret)
        if found is not None:
            yield found[0], tuple(variable.key.split(".")), found[1]
    for name in sorted(environ):
        if name.upper().startswith(PREFIX):
            path, text = name[len(PREFIX) :].lower(), environ[name]
            if path.endswith("_file") and _is_secret(path.removesuffix("_file")):
                path, text = path.removesuffix("_file"), _read_secret(name, text)
            yield name, tuple(path.split("__")), text


def read_venue_variables(environ: Mapping[str, str], venues: Iterable[str]) -> Iterator[Setting]:
    """Addresses and keys of these venues."""
    for venue in venues:
        for ending, key in VENUE_ENDINGS.items():
            found = _lookup(environ, f"{venue.upper()}_{ending}", ending in _SECRET_ENDINGS)
            if found is not None:
                yield found[0], ("exchanges", venue, key), found[1]


def secret_variable(key: tuple[str, ...]) -> str | None:
    """The variable for a key that is a secret, None for any other key."""
    if len(key) == 3 and key[0] == "exchanges" and key[2].upper() in _SECRET_ENDINGS:
        return f"{key[1]}_{key[2]}".upper()
    return next((one.name for one in VARIABLES if one.secret and tuple(one.key.split(".")) == key), None)


def _lookup(environ: Mapping[str, str], name: str, secret: bool) -> tuple[str, str] | None:
    """The variable as it is called where it was found, and its text. An empty variable counts as unset."""
    text, by_file = environ.get(name), environ.get(f"{name}_FILE") if secret else None
    if text and by_file:
        raise ConfigError(f"environment: {name} and {name}_FILE are both set; set one of them")
    if by_file:
        return f"{name}_FILE", _read_secret(f"{name}_FILE", by_file)
    return (name, text) if text else None


def _is_secret(path: str) -> bool:
    return path.rpartition("__")[2] in {"token", "key", "secret", "api_key", "url"}


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"environment {name}: {path} cannot be read ({error.strerror}); expected a file that holds the secret"
        ) from None
