"""Words that must not be shown: their types in the config, and how a text is masked before anyone reads it."""

import re
from collections.abc import Iterable

from pydantic import SecretStr

MASK = "***"

# Each pattern looks at a letter a bounded number of times, whatever the text: it begins at a fixed word and what follows is
# possessive and cannot hold another beginning.
_USER_INFO = re.compile(r"(?P<scheme>://)(?P<user>[^\s:/@]*+):[^\s/@]++@")
_TOKEN = re.compile(r"(?P<scheme>(?:nats|tls)://)[^\s:/@]++@", re.IGNORECASE)  # a user alone is no user there
_NAME = re.compile(r"[?&;][^=&\s]*+")  # in a query
_TELLING = re.compile(r"key|token|secret|password|signature", re.IGNORECASE)
_VALUE = re.compile(r"=[^&\s\"']++")
_BEARER = re.compile(r"(?P<word>bearer\s++)[A-Za-z0-9._~+/=-]{8,}+", re.IGNORECASE)
_SECRET_KEY = re.compile(r"(^|_)(token|secret|password|passwd|authorization|(api|access|private)_?key)($|_)", re.IGNORECASE)

_PORT = re.compile(r"\d{1,5}(?![^/?,])")
_NAMED = re.compile(r"\b(pass\w*+|pwd|\w*token|secret|\w*key)(\s*+[=:]\s*+)[^\s&]++", re.IGNORECASE)  # of a text cut to a length
LENGTH_MAX = 80

_NO_HEADER = re.compile(r"[^!-~]")  # the visible characters of ASCII


class Secret(SecretStr):
    """A word that never stands in a config file and is never shown."""


def header_word(secret: Secret | None) -> Secret | None:
    """The same, if it can stand in a header of a request. Raises ValueError, which does not repeat it."""
    if secret is not None and _NO_HEADER.search(secret.get_secret_value()) is not None:
        raise ValueError("expected one word of plain ASCII characters: no spaces, line breaks, accented letters")
    return secret


class SecretUrl(SecretStr):
    """An address that may carry a password; shown with the password masked."""

    def _display(self) -> str:
        return masked(self.get_secret_value())

    def has_password(self) -> bool:
        return masked(self.get_secret_value()) != self.get_secret_value()


def masked(text: str, known: Iterable[str] = ()) -> str:
    """The text without passwords in addresses, keys in queries, bearer tokens, and the secrets known by value."""
    text = _USER_INFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = _TOKEN.sub(rf"\g<scheme>{MASK}@", text)
    text = _without_keys(text)
    text = _BEARER.sub(rf"\g<word>{MASK}", text)
    for word in known:
        text = text.replace(word, MASK)
    return text


def masked_address(text: str) -> str:
    """What was given where an address is expected and may be none: all that could be a user or a password is masked."""
    scheme, found, rest = text.partition("://")
    scheme = f"{scheme}://" if found and "@" not in scheme else ""
    if "@" in text:
        rest = f"{MASK}@{text.rpartition('@')[2]}"
    elif scheme and not rest.startswith("["):
        host, colon, port = rest.partition(":")
        rest = rest if not colon or _PORT.match(port) else f"{host}:{MASK}"  # no port: a password that no host follows
    shown = f"{scheme}{rest}" if found or "@" in text else text
    shown = shown if len(shown) <= LENGTH_MAX else f"{shown[:LENGTH_MAX]}..."
    return _NAMED.sub(rf"\1\2{MASK}", masked(shown))


def _without_keys(text: str) -> str:
    """The values of a query's telling names masked."""
    shown: list[str] = []
    taken = at = 0
    while (name := _NAME.search(text, at)) is not None:
        at = name.end()
        if _TELLING.search(name[0]) is not None and (value := _VALUE.match(text, at)) is not None:
            shown += (text[taken : at + 1], MASK)
            taken = at = value.end()
    return "".join((*shown, text[taken:]))


def is_secret_key(name: str) -> bool:
    """Whether a field of this name holds something that must not be shown."""
    return _SECRET_KEY.search(name) is not None
