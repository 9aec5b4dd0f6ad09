"""The layers lie on each other as promised, and secrets stay out of files."""

from pathlib import Path

import pytest

from marketd.config import Config, Flags, load
from marketd.errors import ConfigError
from tests.config.conftest import KNOWN, Load
from tests.samples import SAMPLE_CONFIG


def test_the_sample_file_is_accepted_unchanged(loaded: Load) -> None:
    config = loaded(SAMPLE_CONFIG)

    assert list(config.feeds) == ["bitfinex"]
    assert config.feeds["bitfinex"].timeframes == ("1m", "5m", "1h", "1d")
    assert (config.api.host, config.api.port) == ("0.0.0.0", 8100)
    assert config.archive.backfill_days == 365


def test_a_password_is_never_shown(loaded: Load) -> None:
    config = loaded(SAMPLE_CONFIG, {"ALPACA_KEY": "AKIAEXAMPLE", "MARKETD_API_TOKEN": "tell-nobody"}, venues="alpaca")
    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"

    assert "user:pass" not in shown
    assert "AKIAEXAMPLE" not in shown
    assert "tell-nobody" not in shown
    assert str(config.database.url) == "postgresql://user:***@localhost:5432/marketdata"


@pytest.mark.parametrize("url", ["nats://t0ken@host:4222", "tls://me:word@host"])
def test_who_signs_in_to_nats_does_not_stand_in_a_file(loaded: Load, url: str) -> None:
    with pytest.raises(ConfigError, match="set NATS_URL in the environment") as refused:
        loaded(f"nats: {{url: '{url}'}}")
    found = loaded(None, {"NATS_URL": url}).nats

    assert not {"t0ken", "word@"} & {word for word in ("t0ken", "word@") if word in str(refused.value) + repr(found)}
    assert url == found.url.get_secret_value()


def test_each_layer_covers_the_one_below(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("api: {port: 2}")

    def port(environ: dict[str, str], **flags: int) -> int:
        return load(Flags(profile="live-ingest", **flags), environ, tmp_path, KNOWN).api.port  # type: ignore[arg-type]

    assert port({}) == 2
    (tmp_path / ".env").write_text("HTTP_PORT=3\n")
    assert port({}) == 3
    assert port({"HTTP_PORT": "4"}) == 4
    assert port({"HTTP_PORT": "4", "MARKETD__API__PORT": "5"}) == 5
    assert port({"HTTP_PORT": "4", "MARKETD__API__PORT": "5"}, port=6) == 6


def test_without_a_word_the_whole_of_it_runs_on_8100(loaded: Load) -> None:
    config = loaded()

    assert (config.profile, config.api.host, config.api.port) == ("all-in-one", "127.0.0.1", 8100)


def test_naming_a_venue_or_symbols_is_live_ingest(loaded: Load) -> None:
    config = loaded(venues="binance", symbols="btcusdt,ETHUSDT")

    assert (config.profile, config.api.port, config.data_dir) == ("live-ingest", 8891, Path())
    assert {name: venue.symbols for name, venue in config.feeds.items()} == {"binance": ("BTCUSDT", "ETHUSDT")}


def test_every_named_venue_publishes_for_itself(loaded: Load) -> None:
    assert loaded(venues="binance,bybit").feeds["bybit"].backup_for is None
    assert loaded(venues="binance,bybit", profile="live-ingest").feeds["bybit"].backup_for == "binance"
    assert loaded(venues="bybit", profile="live-ingest").feeds["bybit"].backup_for is None


def test_all_is_every_venue_there_is(loaded: Load) -> None:
    config = loaded(venues="all")

    assert set(config.feeds) == set(KNOWN)
    assert {venue.symbols for venue in config.feeds.values()} == {("BTCUSDT", "ETHUSDT")}


def test_a_backup_has_what_its_primary_has(loaded: Load) -> None:
    config = loaded("exchanges: {binance: {symbols: [SOLUSDT], channels: [trade]}, bybit: {backup_for: binance}}")

    assert config.feeds["bybit"].symbols == ("SOLUSDT",)
    assert config.feeds["bybit"].wanted == ("trade",)


def test_the_list_of_a_file_is_the_whole_list_unless_a_profile_was_named(loaded: Load) -> None:
    yaml = "exchanges: {kraken: {symbols: [BTCUSD]}}"

    assert list(loaded(yaml).feeds) == ["kraken"]
    assert list(loaded(yaml, profile="live-ingest").feeds) == ["binance", "bybit", "kraken"]


def test_addresses_of_venues_that_are_not_configured_are_left_alone(loaded: Load) -> None:
    config = loaded(None, {"BINANCE_WS_URL": "ws://127.0.0.1:1/binance/", "KRAKEN_WS_URL": "ws://127.0.0.1:1"}, venues="binance")

    assert list(config.feeds) == ["binance"]
    assert config.feeds["binance"].ws_url == "ws://127.0.0.1:1/binance"


def test_a_venue_is_built_with_its_keys_by_the_names_of_their_variables(loaded: Load) -> None:
    variables = {"ALPACA_KEY": "k", "ALPACA_SECRET": "s", "ALPACA_DRY_RUN": "false", "PAIRS_PER_CONNECTION": "25"}
    config = loaded(None, variables, venues="alpaca")

    assert config.venue_settings("alpaca") == variables


def test_secrets_can_come_from_files(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    config = loaded(None, {"MARKETD_API_TOKEN_FILE": str(tmp_path / "token")})

    assert config.api.token is not None
    assert config.api.token.get_secret_value() == "from-a-file"


def test_health_port_is_for_one_profile_and_http_port_wins(loaded: Load) -> None:
    assert loaded(None, {"HEALTH_PORT": "1"}, profile="trade-streams").api.port == 1
    assert loaded(None, {"HEALTH_PORT": "1", "HTTP_PORT": "2"}, profile="trade-streams").api.port == 2
    assert loaded(None, {"HEALTH_PORT": "1"}, profile="live-ingest").api.port == 8891


def test_retention_holds_for_every_store_that_says_nothing_itself(loaded: Load) -> None:
    config = loaded("retention: {keep_days: 3}\nsinks: {jsonl: {keep_days: 1}}")

    assert (config.sinks.sqlite.keep_days, config.sinks.jsonl.keep_days) == (3, 1)


@pytest.mark.parametrize(
    ("yaml", "environ", "flags", "says"),
    [
        ("exchangs: {}", {}, {}, ["exchangs", "my.yaml", "did you mean exchanges?", "allowed:"]),
        ("exchanges: {binance: {symbol: [A]}}", {}, {}, ["exchanges.binance.symbol", "did you mean symbols?"]),
        ("exchanges: {binanse: {}}", {}, {}, ["exchanges.binanse", "did you mean binance?", "allowed: alpaca"]),
        ("exchanges: [binance]", {}, {}, ["exchanges", "mapping"]),
        ("api: 3", {}, {}, ["api", "found 3", "host, port"]),
        ("api: {port: 70000}", {}, {}, ["api.port", "70000", "65535"]),
        ("exchanges: {bybit: {backup_for: nobody}}", {}, {}, ["exchanges.bybit.backup_for", "nobody"]),
        ("exchanges: {binance: {timeframes: [7q]}}", {}, {}, ["exchanges.binance.timeframes", "7q", "1m, 5m, 1h, 1d"]),
        ("exchanges: {binance: {channels: [trades]}}", {}, {}, ["channels", "'trades'", "'trade'"]),
        ("exchanges: {binance: {ws_url: localhost}}", {}, {}, ["ws_url", "wss://"]),
        ("api: {token: hello}", {}, {}, ["api.token", "MARKETD_API_TOKEN_FILE"]),
        ("redis: {url: 'redis://:pw@host'}", {}, {}, ["redis.url", "REDIS_URL"]),
        ("exchanges: {alpaca: {secret: s}}", {}, {}, ["exchanges.alpaca.secret", "ALPACA_SECRET"]),
        ("a: [", {}, {}, ["my.yaml line 1"]),
        ("api: {port: 1}\napi: {port: 2}", {}, {}, ["line 2", "'api' is given twice"]),
        ("just words", {}, {}, ["my.yaml", "expected sections"]),
        (None, {"MARKETD__BUS__CAPCITY": "1"}, {}, ["MARKETD__BUS__CAPCITY", "did you mean capacity?"]),
        (None, {"HTTP_PORT": "many"}, {}, ["api.port", "HTTP_PORT", "many"]),
        (None, {"MARKETD_API_TOKEN": "a", "MARKETD_API_TOKEN_FILE": "b"}, {}, ["MARKETD_API_TOKEN_FILE", "both"]),
        (None, {"MARKETD_API_TOKEN_FILE": "/nowhere/at/all"}, {}, ["MARKETD_API_TOKEN_FILE", "/nowhere/at/all"]),
        (None, {}, {"profile": "live-ingst"}, ["--profile live-ingst", "did you mean live-ingest?", "allowed: all-in-one"]),
        (None, {}, {"venues": "binanse"}, ["--provider binanse", "did you mean binance?", "all"]),
        (None, {}, {"venues": ","}, ["--provider", "allowed"]),
        (None, {}, {"symbols": "BTC/USDT"}, ["--symbols", "BTC/USDT", "BTCUSDT"]),
        (None, {}, {"channels": "trades"}, ["--channels", "'trades'", "'trade'"]),
        (None, {}, {"roles": "ingst"}, ["--roles", "'ingst'", "'ingest'"]),
        (None, {}, {"shard": "4/3"}, ["--shard", "4/3", "I/N"]),
        (None, {}, {"file": Path("/nowhere.yaml")}, ["/nowhere.yaml", "no such file"]),
        (None, {}, {"env_file": Path("/nowhere.env")}, ["/nowhere.env", "no such file"]),
    ],
)
def test_a_bad_setting_is_one_line_that_names_key_and_what_is_allowed(
    loaded: Load, yaml: str | None, environ: dict[str, str], flags: dict[str, object], says: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(yaml, environ, **flags)
    line = str(error.value)

    assert "\n" not in line
    assert [word for word in says if word not in line] == [], line


@pytest.mark.parametrize(
    ("name", "url", "shown", "expected"),
    [
        ("NATS_URL", "http://127.0.0.1:8190", None, "expected nats://host:4222 or tls://host:4222"),
        ("NATS_URL", "nats://me:hunter2@host:4222/x", "nats://***@host:4222/x", "expected nats://host:4222"),
        ("REDIS_URL", "foo", None, "expected redis://host:6379/0"),
        ("REDIS_URL", "http://127.0.0.1:8190", None, "expected redis://host:6379/0"),
        ("REDIS_URL", "redis://127.0.0.1:6399/abc", None, "expected redis://host:6379/0"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:6399/abc", "redis://***@127.0.0.1:6399/abc", "expected redis://host:6379/0"),
        ("COINGECKO_URL", "foo", None, "expected an address as https://host/path"),
        ("COINGECKO_URL", "https://", None, "expected an address as https://host/path"),
        ("COINGECKO_URL", "https://host:x", "https://host:***", "expected an address as https://host/path"),
        ("COINGECKO_URL", "ftp://me:hunter2@host/x", "ftp://***@host/x", "expected an address as https://host/path"),
    ],
)
def test_a_wrong_address_is_shown_without_what_is_secret_in_it(
    loaded: Load, name: str, url: str, shown: str | None, expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(None, {name: url})
    line = str(error.value)

    assert f"({name}): found {shown or url!r}; {expected}" in line
    assert "hunter2" not in line
    assert "a secret" not in line


def test_a_wrong_secret_is_not_repeated(loaded: Load) -> None:
    with pytest.raises(ConfigError) as error:
        loaded("database: {url: {postgresql://user:hunter2@host: 1}}")

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["COINGECKO_API_KEY", "ALPACA_KEY", "ALPACA_SECRET"])
@pytest.mark.parametrize("key", ["sEcr\u00e9tKEY", "bad\nKEYsecret", "two KEY words", "KEY\x7f"])
def test_a_secret_that_cannot_stand_in_a_header_is_refused_and_not_repeated(loaded: Load, name: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded("exchanges: {alpaca: {}}", {name: key})
    line = str(error.value)

    assert f"({name}): found a secret; expected one word of plain ASCII characters" in line
    assert "KEY" not in line.replace(name, "")
    assert "\n" not in line


def test_config_is_frozen(loaded: Load) -> None:
    config: Config = loaded()

    with pytest.raises(ValueError, match="frozen"):
        config.api.port = 1
