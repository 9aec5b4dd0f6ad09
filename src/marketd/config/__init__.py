"""The configuration: each room's section gathered in one model, and the layers it is read from."""

from marketd.config.flags import Flags
from marketd.config.load import load
from marketd.config.model import Config, Role, Shard

__all__ = ["Config", "Flags", "Role", "Shard", "load"]
