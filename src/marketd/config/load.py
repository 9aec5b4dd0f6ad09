"""The configuration from its layers, lowest first: profile, file, `.env`, environment, flags."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from marketd.candles.section import CacheConfig
from marketd.config.complaints import complaint, did_you_mean
from marketd.config.flags import Flags, add_flags
from marketd.config.layers import Layers
from marketd.config.model import Config
from marketd.config.sources import read_env_file, read_file, read_profile
from marketd.config.variables import Setting, read_variables, read_venue_variables, secret_variable
from marketd.errors import ConfigError
from marketd.secrets import masked
from marketd.venues import known_venues

DEFAULT_FILE = "config.yaml"
DEFAULT_ENV_FILE = ".env"
NO_FLAGS = Flags()


def load(
    flags: Flags = NO_FLAGS, environ: Mapping[str, str] | None = None, cwd: Path | None = None, known: Iterable[str] | None = None
) -> Config:
    """The checked configuration. Raises ConfigError, one line that names the key and what is allowed.

    `environ`, `cwd` and `known` (the venues there are) default to the process's own.
    """
    cwd = cwd or Path()
    venues = known_venues() if known is None else list(known)
    layers = Layers()
    profile = flags.profile or ("live-ingest" if flags.is_quick else "all-in-one")
    layers.add(read_profile(profile), f"profile {profile}")
    layers.set(("profile",), profile, f"profile {profile}")
    _add_file(layers, flags, cwd)
    environ = {**_env_file(flags.env_file, cwd), **(os.environ if environ is None else environ)}
    for_every_venue: list[Setting] = []
    for name, key, text in read_variables(environ, profile):
        if key[:2] == ("exchanges", "*"):
            for_every_venue.append((name, key, text))
        else:
            layers.set(key, text, name)
    add_flags(layers, flags, venues)
    _check_venues(layers, venues)
    for name, key, text in for_every_venue:
        for venue in layers.venues:
            if layers.get(("exchanges", venue, key[2])) is None:
                layers.set(("exchanges", venue, key[2]), text, name)
    for name, key, text in read_venue_variables(environ, list(layers.venues)):
        layers.set(key, text, name)
    _find_the_caches_venue(layers, environ, venues)
    _no_secret_in_a_file(layers)
    _retain(layers)
    try:
        return Config.model_validate(layers.found)
    except ValidationError as error:
        raise complaint(error, Config, layers.origins) from None


def _add_file(layers: Layers, flags: Flags, cwd: Path) -> None:
    """The config file. Where no profile was named, its list of venues is the whole list."""
    path = flags.file
    if path is None and (cwd / DEFAULT_FILE).is_file():
        path = cwd / DEFAULT_FILE
    if path is None:
        return
    read = read_file(path)
    if "exchanges" in read and flags.profile is None:
        layers.drop(("exchanges",))
    layers.add(read, str(path))


def _env_file(path: Path | None, cwd: Path) -> dict[str, str]:
    if path is not None:
        return read_env_file(path)
    return read_env_file(cwd / DEFAULT_ENV_FILE) if (cwd / DEFAULT_ENV_FILE).is_file() else {}


def _find_the_caches_venue(layers: Layers, environ: Mapping[str, str], known: list[str]) -> None:
    """The cache polls its venue also where nothing else is collected from it: `<VENUE>_REST_URL` says where that is."""
    venue = layers.get(("cache", "venue")) or CacheConfig.model_fields["venue"].default
    if not isinstance(venue, str) or venue in layers.venues:
        return
    if venue not in known:
        source = layers.origins.get(("cache", "venue"), "?")
        allowed = f"allowed: {', '.join(sorted(known))}"
        raise ConfigError(f"config cache.venue ({source}): unknown venue {venue!r}{did_you_mean(venue, known)}; {allowed}")
    for name, key, text in read_venue_variables(environ, [venue]):
        if key[2] == "rest_url":
            layers.set(("cache", "rest_url"), text, name)


def _check_venues(layers: Layers, known: list[str]) -> None:
    for name in layers.venues:
        if name not in known:
            source = layers.origins.get(("exchanges", name), "?")
            allowed = f"allowed: {', '.join(sorted(known))}"
            raise ConfigError(f"config exchanges.{name} ({source}): unknown venue{did_you_mean(name, known)}; {allowed}")


def _no_secret_in_a_file(layers: Layers) -> None:
    """Only database.url may hold a password in a file."""
    for key in layers.in_file:
        variable = secret_variable(key)
        value = layers.get(key)
        if variable is None or value is None or key == ("database", "url"):
            continue
        if key[-1] == "url" and masked(str(value)) == str(value):
            continue  # an address without a password
        told = f"config {'.'.join(key)} ({layers.origins[key]}): a secret does not belong in a file"
        raise ConfigError(f"{told}; set {variable} in the environment or in .env, or {variable}_FILE to a file that holds it")


def _retain(layers: Layers) -> None:
    """What `retention` says holds for every store that says nothing itself."""
    for key in ("keep_days", "keep_bytes"):
        kept = layers.get(("retention", key))
        for store in ("sqlite", "jsonl"):
            if kept is not None and layers.get(("sinks", store, key)) is None:
                layers.set(("sinks", store, key), kept, layers.origins["retention", key])
