"""What the command line says, as the highest layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marketd.config.complaints import did_you_mean
from marketd.config.layers import Layers
from marketd.errors import ConfigError

ALL = "all"


@dataclass(frozen=True)
class Flags:
    """The flags; None is unsaid."""

    profile: str | None = None
    file: Path | None = None
    env_file: Path | None = None
    data_dir: Path | None = None
    roles: str | None = None
    venues: str | None = None
    symbols: str | None = None
    channels: str | None = None
    shard: str | None = None
    host: str | None = None
    port: int | None = None
    log_level: str | None = None

    @property
    def is_quick(self) -> bool:
        """Venues or symbols were named, but no profile and no file: profile live-ingest, each venue publishing for itself."""
        return self.profile is None and self.file is None and (self.venues is not None or self.symbols is not None)


def add_flags(layers: Layers, flags: Flags, known: Sequence[str]) -> None:
    """Lay the flags over everything else. Raises ConfigError for a venue that does not exist."""
    single = {
        ("data_dir",): None if flags.data_dir is None else str(flags.data_dir),
        ("roles",): flags.roles,
        ("shard",): flags.shard,
        ("api", "host"): flags.host,
        ("api", "port"): flags.port,
        ("logging", "level"): flags.log_level,
    }
    for key, value in single.items():
        if value is not None:
            layers.set(key, value, f"--{key[-1].replace('_', '-')}" if key[0] != "logging" else "--log-level")
    for word, wanted in (("roles", flags.roles), ("symbols", flags.symbols), ("channels", flags.channels)):
        if wanted is not None and not wanted.strip(" ,"):
            raise ConfigError(f"--{word}: found nothing, expected names with commas")
    if flags.venues is not None:
        _select(layers, flags, known)
    for name, settings in layers.venues.items():
        if isinstance(settings, dict) and settings.get("backup_for"):
            continue  # it has what its primary has
        for word, wanted in (("symbols", flags.symbols), ("channels", flags.channels)):
            if wanted is not None:
                layers.set(("exchanges", name, word), wanted, f"--{word}")


def _select(layers: Layers, flags: Flags, known: Sequence[str]) -> None:
    """Exactly the venues named, each with the settings it had; a new one gets the symbols of the first that has some."""
    names = list(dict.fromkeys(word.strip().lower() for word in (flags.venues or "").split(",") if word.strip()))
    if names == [ALL]:
        names = list(known)
    if not names:
        raise ConfigError(f"--provider: found nothing, expected names; allowed: {', '.join(sorted(known))}, {ALL}")
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--provider {name}: unknown venue{did_you_mean(name, known)}; allowed: {', '.join(sorted(known))}, {ALL}"
            )
    before = layers.venues
    symbols = next((its["symbols"] for its in before.values() if isinstance(its, dict) and its.get("symbols")), ())
    for name in [name for name in before if name not in names]:
        layers.drop(("exchanges", name))
    for name in names:
        layers.set(("exchanges", name, "enabled"), True, "--provider")
        if flags.is_quick or layers.get(("exchanges", name, "backup_for")) not in names:
            layers.drop(("exchanges", name, "backup_for"))
        if not layers.get(("exchanges", name, "backup_for")) and not layers.get(("exchanges", name, "symbols")):
            layers.set(("exchanges", name, "symbols"), symbols, "--provider")
    layers.found["exchanges"] = {name: layers.venues[name] for name in names}
