"""Programs as a service manager or a container engine starts them."""

from tests.cli.conftest import simulated, start

__all__ = ["simulated", "start"]
