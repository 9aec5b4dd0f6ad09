"""The command line: one file a command."""

from marketd.cli.program import app, main

__all__ = ["app", "main"]
