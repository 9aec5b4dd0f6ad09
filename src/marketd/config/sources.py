"""Where layers come from: shipped profiles, YAML files, `.env` files."""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from dotenv.parser import parse_stream

from marketd.config.complaints import did_you_mean
from marketd.errors import ConfigError


def profile_names() -> list[str]:
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("marketd").joinpath("profiles").iterdir()
        if entry.name.endswith(".yaml")
    )


def read_profile(name: str) -> dict[str, Any]:
    """A shipped profile. Raises ConfigError that names those there are."""
    names = profile_names()
    if name not in names:
        raise ConfigError(f"--profile {name}: there is no such profile{did_you_mean(name, names)}; allowed: {', '.join(names)}")
    return read_yaml(resources.files("marketd").joinpath("profiles", f"{name}.yaml").read_text(), f"profile {name}")


def read_file(path: Path) -> dict[str, Any]:
    """A config file. Raises ConfigError."""
    try:
        return read_yaml(path.expanduser().read_text(), str(path))
    except OSError as error:
        raise ConfigError(
            f"config file {path}: {(error.strerror or 'cannot be read').lower()}; expected a readable YAML file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"config file {path}: not UTF-8 text; expected a YAML file") from None


def read_yaml(text: str, source: str) -> dict[str, Any]:
    """A mapping of sections. Raises ConfigError with line and column."""
    try:
        found = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"config {source}{place}: {error.problem or 'not YAML'}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"config {source}: not YAML: {' '.join(str(error).split())}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"config {source}: found {type(found).__name__}, expected sections such as exchanges: and api:")
    return {str(key): value for key, value in found.items() if value is not None}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file. Raises ConfigError with the line."""
    try:
        with path.expanduser().open() as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"env file {path}: {reason.lower()}; expected lines NAME=value") from None
    for binding in bindings:
        if binding.error:
            raise ConfigError(f"env file {path} line {binding.original.line}: expected NAME=value")
    return {binding.key: binding.value for binding in bindings if binding.key and binding.value is not None}


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error: the first would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen and name != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)
