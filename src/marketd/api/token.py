"""The token that changing state always needs: the configured one, or one made for this data directory."""

import os
import secrets
from pathlib import Path

from marketd.api.section import ApiConfig
from marketd.errors import StartError

FILE = "api-token"


def read_token(config: ApiConfig, data_dir: Path) -> str:
    """For our own command line: the token a daemon with this configuration expects, "" if there is none yet."""
    if config.token is not None:
        return config.token.get_secret_value()
    try:
        return (data_dir / FILE).read_text().strip()
    except (OSError, UnicodeDecodeError):  # what is no text is no token: a new one is made
        return ""


def make_token(config: ApiConfig, data_dir: Path) -> str:
    """The configured token, else that of `api-token`, which is made if need be, readable by its owner only. Raises StartError."""
    found = read_token(config, data_dir)
    path = data_dir / FILE
    try:
        if found:
            if config.token is None:
                path.chmod(0o600)
            return found
        data_dir.mkdir(parents=True, exist_ok=True)
        token = secrets.token_urlsafe(32)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}; change --data-dir or MARKETD_DATA_DIR") from None
    return token
