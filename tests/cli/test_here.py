"""What check says of the machine it runs on."""

import socket
from pathlib import Path

import pytest

from marketd.cli.here import ask_here
from marketd.config import Flags, load


def test_a_directory_yet_to_be_made_and_a_free_port_are_well(tmp_path: Path) -> None:
    here = ask_here(load(Flags(data_dir=tmp_path / "to" / "be"), environ={"HTTP_PORT": "0"}, cwd=tmp_path))

    assert here.lines == [f"data directory {tmp_path / 'to' / 'be'}: ok"]
    assert here.is_well
    assert [] == list(tmp_path.iterdir())


def test_a_file_in_the_way_of_the_data_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    here = ask_here(load(Flags(data_dir=tmp_path / "file" / "data"), environ={"HTTP_PORT": "0"}, cwd=tmp_path))

    assert here.lines == [
        f"data directory {tmp_path / 'file' / 'data'}: no: {tmp_path / 'file'} is no directory; "
        "change it with --data-dir or MARKETD_DATA_DIR"
    ]
    assert not here.is_well


def test_a_directory_that_may_not_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != tmp_path)  # who runs the tests may write everywhere
    here = ask_here(load(Flags(data_dir=tmp_path / "data"), environ={"HTTP_PORT": "0"}, cwd=tmp_path))

    assert f"no: {tmp_path} is not writable" in here.lines[0]
    assert not here.is_well


def test_a_taken_port_is_said_and_may_be_this_daemons_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        here = ask_here(load(Flags(data_dir=tmp_path), environ={"HTTP_PORT": str(port)}, cwd=tmp_path))

    assert here.lines[1] == f"API 127.0.0.1:{port}: address already in use; a daemon could not start beside it"
    assert here.is_well
