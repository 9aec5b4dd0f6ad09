"""What `replay` refuses before it begins; what it does is shown in test_run.py."""

import pytest

from marketd.cli.replay import _speed
from marketd.errors import ConfigError


def test_speed_is_a_factor_or_max() -> None:
    assert (_speed("max"), _speed("1"), _speed("0.5")) == (None, 1.0, 0.5)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--speed"):
        _speed(text)
