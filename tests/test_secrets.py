"""Whatever looks like a secret is masked, and only that."""

import pytest

from marketd.secrets import SecretUrl, is_secret_key, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:pass@localhost:5432/db", "postgresql://user:***@localhost:5432/db"),
        ("redis://:pass@host/0", "redis://:***@host/0"),
        ("nats://s3cr3t@host:4222,tls://me:pw@other", "nats://***@host:4222,tls://me:***@other"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("https://x/y?api_key=abc&limit=1", "https://x/y?api_key=***&limit=1"),
        ("wss://stream.binance.com:9443/stream?streams=btcusdt@trade/ethusdt@trade", None),
        ("Bearer abcdefgh123", "Bearer ***"),
        ("a frame at 12:30@noon", None),
    ],
)
def test_masking(text: str, shown: str | None) -> None:
    assert masked(text) == (shown or text)


def test_an_address_shows_itself_without_its_password() -> None:
    url = SecretUrl("nats://me:pw@host:4222")

    assert str(url) == "nats://me:***@host:4222"
    assert "pw" not in repr(url)
    assert url.has_password()
    assert not SecretUrl("nats://host:4222").has_password()


def test_names_of_secret_fields() -> None:
    assert [name for name in ("token", "api_key", "nats_password", "Authorization") if not is_secret_key(name)] == []
    assert [name for name in ("key", "symbol", "tokens_left", "monkey") if is_secret_key(name)] == []
