"""What the daemon says while it runs: events with fields, as text for a person or JSON for a machine."""

from marketd.log.code import Code
from marketd.log.codes import CODES
from marketd.log.section import LoggingConfig
from marketd.log.setup import configure, hide

__all__ = ["CODES", "Code", "LoggingConfig", "configure", "hide"]
