"""The wiring, and the only place that knows everyone."""

from marketd.daemon.replaying import Replayed, replay
from marketd.daemon.serving import serve

__all__ = ["Replayed", "replay", "serve"]
