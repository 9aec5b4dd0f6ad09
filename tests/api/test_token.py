"""The token is made once, kept, and readable by its owner only."""

import stat
from pathlib import Path

import pytest

from marketd.api.section import ApiConfig
from marketd.api.token import FILE, make_token, read_token
from marketd.errors import StartError
from marketd.secrets import Secret


def test_a_token_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = make_token(ApiConfig(), tmp_path / "data")

    assert make_token(ApiConfig(), tmp_path / "data") == first
    assert read_token(ApiConfig(), tmp_path / "data") == first


def test_a_token_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "api-token").write_text("known\n")
    (tmp_path / "api-token").chmod(0o644)

    assert make_token(ApiConfig(), tmp_path) == "known"
    assert stat.S_IMODE((tmp_path / "api-token").stat().st_mode) == 0o600


def test_a_configured_token_is_the_token(tmp_path: Path) -> None:
    assert make_token(ApiConfig(token=Secret("mine")), tmp_path) == "mine"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StartError, match="--data-dir"):
        make_token(ApiConfig(), tmp_path / "file")


def test_git_does_not_take_a_token_that_was_made_in_the_working_directory() -> None:
    ignored = (Path(__file__).resolve().parents[2] / ".gitignore").read_text().splitlines()

    assert f"/{FILE}" in ignored
