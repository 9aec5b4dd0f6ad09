"""What is wrong with a config, in one line: the key, where it was set, what was found, what is allowed."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from marketd.errors import ConfigError
from marketd.secrets import masked_address
from marketd.section import expected_of

Origins = Mapping[tuple[str, ...], str]  # which layer set a key


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean depth?)`, or nothing where no known word is near."""
    spelled = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), list(spelled), 1, 0.6)
    return f" (did you mean {spelled[near[0]]}?)" if near else ""


def complaint(error: ValidationError, model: type[BaseModel], origins: Origins) -> ConfigError:
    """The first fault of a validation as a ConfigError; the others are counted."""
    faults = error.errors(include_url=False)
    faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")  # a misspelt key explains a missing one
    first = faults[0]
    where = tuple(part for part in first["loc"] if isinstance(part, str))  # a place within a list says nothing more
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ConfigError(f"config {_sentence(first, where, model, origins)}{more}")


def _sentence(fault: Any, where: tuple[str, ...], model: type[BaseModel], origins: Origins) -> str:
    message = expected_of(fault["type"], fault["msg"])
    if not where:
        return message
    said = f"{'.'.join(where)}{_from(where, origins)}"
    if fault["type"] == "extra_forbidden":
        known = keys_of(model, where[:-1])
        return f"{said}: unknown key{did_you_mean(where[-1], known)}; allowed: {', '.join(known)}"
    if fault["type"] == "missing":
        return f"{said}: required and not set"
    found = _shown(fault["input"], where, model)
    if fault["type"] == "value_error":
        return f"{said}: found {found}; {message}"
    if fault["type"] in {"model_type", "dict_type"}:
        message = f"a mapping of {', '.join(keys_of(model, where)) or 'names to settings'}"
    return f"{said}: found {found}, expected {message}"


def _from(where: tuple[str, ...], origins: Origins) -> str:
    """` (config.yaml)`: the layer that set the key or what it lies in."""
    for length in range(len(where), 0, -1):
        if where[:length] in origins:
            return f" ({origins[where[:length]]})"
    return ""


def _shown(value: object, where: tuple[str, ...], model: type[BaseModel]) -> str:
    if where[-1].endswith("url") and isinstance(value, str):
        return repr(masked_address(value))
    field = _annotation(model, where)
    if isinstance(field, type) and issubclass(field, SecretStr):
        return "a secret"
    if isinstance(value, Mapping):
        return f"a mapping of {', '.join(map(str, value)) or 'nothing'}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def keys_of(model: type[BaseModel], where: tuple[str, ...]) -> list[str]:
    """The keys allowed at a place."""
    found = _annotation(model, where)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [field.alias or name for name, field in found.model_fields.items()]
    return []


def _annotation(model: type[BaseModel], where: tuple[str, ...]) -> Any:
    """The type of the value at a place; None where the model knows of no such place."""
    at: Any = model
    for part in where:
        at = _bare(at)
        if get_origin(at) is dict:
            at = get_args(at)[1]
        elif isinstance(at, type) and issubclass(at, BaseModel):
            at = next((field.annotation for name, field in at.model_fields.items() if (field.alias or name) == part), None)
        else:
            return None
    return _bare(at)


def _bare(annotation: Any) -> Any:
    """`X` of `X | None`."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return parts[0] if type(None) in get_args(annotation) and len(parts) == 1 else annotation
