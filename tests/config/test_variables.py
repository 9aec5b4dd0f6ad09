"""Every variable of the contract is read."""

import pytest

from marketd.config.variables import VARIABLES, read_variables, secret_variable
from marketd.errors import ConfigError
from tests.config.conftest import Load

EXAMPLES = {
    "HTTP_PORT": "1", "HTTP_HOST": "::1", "HEALTH_PORT": "2", "MARKETD_DATA_DIR": "/d", "MARKETD_API_TOKEN": "t",
    "MARKETD_LOG_FORMAT": "json", "PAIRS_PER_CONNECTION": "10", "DATABASE_URL": "postgresql://u:p@h/d", "NATS_URL": "nats://h",
    "NATS_ENABLED": "true", "NATS_SUBJECT_PREFIX": "md.x",
    "USE_JETSTREAM": "true", "REDIS_URL": "redis://:p@h", "STREAM_MAXLEN": "5",
    "COINGECKO_API_KEY": "k", "COINGECKO_PLAN": "pro", "COINGECKO_URL": "http://h", "PAIRS_LIMIT": "7", "FALLBACK_PAIRS": "A,B",
    "DISCOVERY_REFRESH_SEC": "60", "FEATURES_PUB_RATE_HZ": "2", "SIGNAL_RETURN_THRESHOLD": "0.1", "SIGNAL_VOLUME_THRESHOLD": "2",
    "SIGNAL_SPREAD_BPS": "3", "ROLLING_WINDOW_SECONDS": "30",
}  # fmt: skip


def test_all_of_them_together_are_accepted(loaded: Load) -> None:
    config = loaded(None, EXAMPLES)

    assert set(EXAMPLES) == {variable.name for variable in VARIABLES}
    assert config.api.host == "::1"
    assert config.discovery.fallback_pairs == ("A", "B")
    assert config.features.window_s == 30
    assert config.feeds["binance"].pairs_per_connection == 10


def test_an_empty_variable_is_unset() -> None:
    assert list(read_variables({"HTTP_PORT": ""}, "all-in-one")) == []


def test_which_variable_holds_a_secret() -> None:
    assert secret_variable(("api", "token")) == "MARKETD_API_TOKEN"
    assert secret_variable(("exchanges", "alpaca", "key")) == "ALPACA_KEY"
    assert secret_variable(("api", "port")) is None


def test_a_secret_is_given_once() -> None:
    with pytest.raises(ConfigError, match="REDIS_URL_FILE are both set"):
        list(read_variables({"REDIS_URL": "redis://h", "REDIS_URL_FILE": "/f"}, "all-in-one"))
