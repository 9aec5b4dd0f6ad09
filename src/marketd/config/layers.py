"""Sections laid over each other, and which layer said what."""

from collections.abc import Mapping
from typing import Any

Key = tuple[str, ...]


class Layers:
    """The merged settings so far; a later layer goes over an earlier one, key by key, lists whole."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.origins: dict[Key, str] = {}  # by whom a key was set last
        self.in_file: set[Key] = set()  # keys that a file set last, not a variable or a flag

    def add(self, layer: Mapping[str, Any], source: str, at: Key = ()) -> None:
        """Lay the sections of a file or profile over what is there."""
        for key, value in layer.items():
            here = (*at, str(key))
            if isinstance(value, Mapping) and value:
                self.add(value, source, here)
            elif not value and isinstance(self.get(here), dict):
                continue  # an empty section changes nothing
            else:
                self.set(here, dict(value) if isinstance(value, Mapping) else value, source)
                self.in_file.add(here)

    def set(self, key: Key, value: Any, source: str) -> None:
        """Set one key, making the sections above it."""
        at = self.found
        for length, part in enumerate(key[:-1], 1):
            inner = at.get(part)
            if not isinstance(inner, dict):
                inner = at[part] = {}
            self.origins.setdefault(key[:length], source)
            at = inner
        at[key[-1]] = value
        self.origins[key] = source
        self.in_file.discard(key)

    def get(self, key: Key) -> Any:
        at: Any = self.found
        for part in key:
            at = at.get(part) if isinstance(at, dict) else None
        return at

    def drop(self, key: Key) -> None:
        """Forget a key and what lies in it."""
        above = self.get(key[:-1]) if len(key) > 1 else self.found
        if isinstance(above, dict):
            above.pop(key[-1], None)
        for other in [other for other in self.origins if other[: len(key)] == key]:
            del self.origins[other]
            self.in_file.discard(other)

    @property
    def venues(self) -> dict[str, Any]:
        """The section `exchanges`, by venue; empty where it is no mapping (the model will say so)."""
        venues = self.found.setdefault("exchanges", {})
        return venues if isinstance(venues, dict) else {}
