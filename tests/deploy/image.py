"""The Dockerfile as an engine reads it, as far as this one goes: one instruction a line, the last stage counts."""

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Of all stages, in order: `("FROM", "python AS build")`."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(at for at, (word, _) in enumerate(found) if word == "FROM") :]


def of_last_stage(word: str) -> str:
    return [text for name, text in last_stage() if name == word][-1]


def environ() -> dict[str, str]:
    """Without PATH, which is the test's own."""
    found = dict(pair.split("=", 1) for name, text in last_stage() if name == "ENV" for pair in shlex.split(text))
    del found["PATH"]
    return found


def entry_point() -> list[str]:
    words: list[str] = json.loads(of_last_stage("ENTRYPOINT"))
    return words


def command() -> list[str]:
    words: list[str] = json.loads(of_last_stage("CMD"))
    return words


def health_check() -> list[str]:
    found = re.search(r"CMD (\[.*\])", of_last_stage("HEALTHCHECK"))

    assert found is not None
    words: list[str] = json.loads(found[1])
    return words
