"""What the tests of the configuration share: loading without this machine's environment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from marketd.config import Config, Flags, load

KNOWN = ("binance", "binance_us", "bybit", "coinbase", "alpaca", "bitfinex", "kraken")

Load = Callable[..., Config]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """`loaded(yaml, {variables}, flag=...)`, in an empty working directory."""

    def read(yaml: str | None = None, environ: dict[str, str] | None = None, **flags: object) -> Config:
        if yaml is not None:
            flags["file"] = tmp_path / "my.yaml"
            (tmp_path / "my.yaml").write_text(yaml)
        return load(Flags(**flags), environ or {}, tmp_path, KNOWN)  # type: ignore[arg-type]

    return read
