"""The fuzzer: `python -m tests.fuzz "kraken stream" 60` runs one target for so many seconds; without words it names them.

Coverage guides it through atheris. Where atheris has no build for this Python or platform, the same targets get the same
structural changes without guidance, and the first line says so. A finding is printed with its input and ends with code 1.
"""

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None:
    with atheris.instrument_imports(include=["marketd"]):
        from tests.fuzz.targets import Stream, Target, targets
else:
    from tests.fuzz.targets import Stream, Target, targets

from tests.fuzz.mutations import one_of


def prefix_of(target: Target) -> int:
    """Bytes in front of the JSON that choose the session or the question."""
    return 2 if isinstance(target, Stream) else 1


def changed(target: Target, data: bytes, dice: random.Random) -> bytes:
    head = prefix_of(target)
    return data[:head] + one_of(data[head:], dice)


def guided(target: Target, seconds: int) -> None:
    """By coverage; leaves the process when the time is over or something was found."""

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.4:
            return atheris.Mutate(data, size)  # type: ignore[no-any-return]
        new = changed(target, data, dice)
        return new if len(new) <= size else data[:size]

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            Path(corpus, f"{number:04}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={tempfile.gettempdir()}/", corpus], target, custom_mutator=mutate)
        atheris.Fuzz()


def unguided(target: Target, seconds: int) -> None:
    dice, seeds, runs = random.Random(1), list(target.seeds()), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = changed(target, dice.choice(seeds), dice)
        if dice.random() < 0.3:
            data = changed(target, data, dice)
        try:
            target(data)
        except Exception:
            print(f"found by {data!r}", flush=True)  # noqa: T201
            raise
        runs += 1
    print(f"stat::number_of_executed_units: {runs}", flush=True)  # noqa: T201


def main(words: list[str]) -> Any:
    known = {target.name: target for target in targets()}
    if len(words) != 2 or words[0] not in known or not words[1].isdecimal():
        print("\n".join(known))  # noqa: T201
        return 0 if not words else 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=True)
    if atheris is None:
        print("atheris is not there: changes are not guided by coverage", flush=True)  # noqa: T201
        return unguided(known[words[0]], int(words[1]))
    return guided(known[words[0]], int(words[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
