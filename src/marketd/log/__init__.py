"""What the daemon says while it runs: events with fields, as text for a person or JSON for a machine."""

from marketd.log.codes import CODES, Code
from marketd.log.section import LoggingConfig
from marketd.log.setup import configure, hide

__all__ = ["CODES", "Code", "LoggingConfig", "configure", "hide"]
