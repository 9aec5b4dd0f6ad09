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


@pytest.mark.timeout(20)  # a second or less each; with a pattern that looks again at what it saw, hours
@pytest.mark.parametrize(
    "part",
    ["C", "?", "?token", ";key=", "bearer ", "bearer a", "a:", "://", "://a:b", "nats://", "&", "a.", " ", "=", "?a=b?", "@"],
)
def test_a_long_text_costs_no_more_than_its_length(part: str) -> None:
    text = (part * 1_000_000)[:1_000_000]

    masked(text)
    masked(f"bearer {text}")
    masked(f"nats://{text}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/x?a=1?token=abc&b=2", "/x?a=1?token=***&b=2"),
        ("/x?token?x=abc;secret=d", "/x?token?x=***"),
        ('/x?api_key=abc"&Signature=de end', '/x?api_key=***"&Signature=*** end'),
        ("?token= &key=", "?token= &key="),
        ("+://u:p@h 1x://:p@h x://a:b:c@h", "+://u:***@h 1x://:***@h x://a:***@h"),
    ],
)
def test_masking_of_what_is_nearly_an_address(text: str, shown: str) -> None:
    assert masked(text) == shown
