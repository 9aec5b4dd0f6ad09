"""Every decoder under bad input: real frames with each single thing wrong; in `make soak` an hour of fuzzing by coverage."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fuzz.mutations import all_of, one_of
from tests.fuzz.targets import Stream, Target, targets
from tests.venues.frames import sessions

ROOT = Path(__file__).resolve().parents[2]
TARGETS = targets()
SECONDS = int(os.environ.get("FUZZ_SECONDS", "3600")) // len(TARGETS)
each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
each_stream = pytest.mark.parametrize("target", [one for one in TARGETS if isinstance(one, Stream)], ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@each_target
def test_good_input_passes(target: Target) -> None:
    seeds = list(target.seeds())
    for seed in seeds:
        target(seed)

    assert len(seeds) >= 3


@each_stream
def test_each_node_of_each_frame_may_be_anything(target: Stream) -> None:
    for number, session in enumerate(sessions(target.name.split()[0])):
        for place, frame in enumerate(session.frames):
            if not is_json(frame):
                continue
            for changed in all_of(frame):
                target(bytes((number, place)) + changed)


@each_target
def test_changes_upon_changes_stay_bad_frames_or_events_that_can_be_stored(target: Target) -> None:
    dice = random.Random(target.name)
    head = 2 if isinstance(target, Stream) else 1
    seeds = list(target.seeds())
    for _ in range(400):
        seed = dice.choice(seeds)
        data = seed[head:]
        for _ in range(dice.randint(1, 3)):
            data = one_of(data, dice)
        target(seed[:head] + data)


@pytest.mark.soak
@pytest.mark.timeout(0)
@each_target
def test_fuzzing_by_coverage_finds_nothing(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    """FUZZ_SECONDS (an hour) are shared by all targets."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target.name, str(SECONDS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).splitlines()
    with capfd.disabled():
        stats = [line for line in said if "number_of_executed_units" in line or line.startswith("atheris is not")]
        print(f"\nfuzz {target.name}: {SECONDS} s, {'; '.join(stats)}")  # noqa: T201

    assert done.returncode == 0, "\n".join(said[-60:])


def is_json(frame: bytes) -> bool:
    try:
        return isinstance(json.loads(frame), dict | list)
    except ValueError:
        return False
