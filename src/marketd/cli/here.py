"""What `marketd check` says of this machine: whether the data directory can be written and the port of the API is free."""

import os
import socket
from typing import NamedTuple

from marketd.config import Config


class Here(NamedTuple):
    """Lines for a person, and whether a daemon could start."""

    lines: list[str]
    is_well: bool


def ask_here(config: Config) -> Here:
    """Nothing is made or changed. A taken port is said and no failure: this daemon may be what runs there."""
    hindered = _hindered(config)
    lines = [f"data directory {config.data_dir}: {hindered or 'ok'}"]
    if taken := _taken(config.api.host, config.api.port):
        lines.append(f"API {config.api.host}:{config.api.port}: {taken}; a daemon could not start beside it")
    return Here(lines, not hindered)


def _hindered(config: Config) -> str:
    """Why nothing can be written there; empty if it can."""
    path = config.data_dir.absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    if not there.is_dir():
        return f"no: {there} is no directory; change it with --data-dir or MARKETD_DATA_DIR"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"no: {there} is not writable; change it with --data-dir or MARKETD_DATA_DIR"
    return ""


def _taken(host: str, port: int) -> str:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just been left is free
            one.bind(address)
    except OSError as error:
        return str(error.strerror or error).lower()
    return ""
