"""Whatever looks like a secret is masked, and only that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.secrets import SecretUrl, is_secret_key, masked, masked_address


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:8190", None),
        ("foo", None),
        ("redis://127.0.0.1:6399/abc", None),
        ("redis://[::1]:6399/abc", None),
        ("http://me:hunter2@host:1/x", "http://***@host:1/x"),
        ("me:hunter2@host", "***@host"),
        ("redis//me:hun@ter2@host/x", "***@host/x"),
        ("nats://a:hunter2@h1,foo://b:c@h2", "nats://***@h2"),
        ("hunter2@x://host", "***@x://host"),
        ("redis://:hunter2/0", "redis://:***"),
        ("nats://me:hunter2", "nats://me:***"),
        ("nats://me:123hunter2", "nats://me:***"),
        ("host=db password=hunter2", "host=db password=***"),
        ("redis://h/x?password=hunter2", "redis://h/x?password=***"),
        ("x" * 100, "x" * 80 + "..."),
    ],
)
def test_what_may_be_no_address_is_shown_without_what_may_be_a_password(text: str, shown: str | None) -> None:
    assert (shown or text) == masked_address(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_nothing_before_the_last_at_sign_is_shown_but_the_scheme(before: str, after: str) -> None:
    told = masked_address(f"nats://{before}hunter2{before}@{after.replace('@', '')}")

    assert "hunter2" not in told
