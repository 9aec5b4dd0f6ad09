"""Market data, complete, exact and accounted for."""

__version__ = "0.1.0"
