"""What the tests of every room share: recorded traffic, a clock to turn by hand, hypothesis profiles, uvloop."""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import hypothesis
import pytest
import uvloop

from marketd.clock import ManualClock
from tests.jumping import JumpingLoop

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
FEW = 12

# Servers that a developer runs for something else get nothing from tests, whatever a profile would do with one that it finds.
NOBODY = {"NATS_URL": "nats://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
os.environ.update(NOBODY)

# What a test asks may take as long as a busy machine needs; the program's own questions have limits of their own.
for ask in (httpx.Client.__init__, httpx.AsyncClient.__init__, httpx.get, httpx.post):
    assert ask.__kwdefaults__["timeout"] == httpx.Timeout(5.0)
    ask.__kwdefaults__["timeout"] = httpx.Timeout(60.0)

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "soak",
    deadline=None,
    max_examples=20_000,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the daemon runs on, but those whose clock has to know when there is nothing to do."""
    if item.get_closest_marker("jumping") is not None:
        return {"jumping": JumpingLoop}
    return {"uvloop": uvloop.new_event_loop}


# Recorded traffic lies beside the project, not in it. `@pytest.mark.recorded("binance/ws/*.jsonl.gz")` marks a test that
# needs some. A parameter `recording` takes each matching file in turn: about a dozen of them, of each pattern one, in
# `make test`, the rest in `make soak`. Without the data such tests are not collected:
# the first line of the run says so, and nothing is counted as skipped.


# Checkers that come with other software than Python's: what they judge is also judged by tests of our own.
CHECKERS = {"promtool": "alerts", "prometheus": "queries", "systemd-analyze": "units"}


def pytest_report_header(config: pytest.Config) -> list[str]:
    here = f"recorded traffic: {SHARED_DATA}"
    none = f"recorded traffic: none at {SHARED_DATA}, tests on it are not collected"
    away = [f"{name} is not here: {what} are judged without it" for name, what in CHECKERS.items() if shutil.which(name) is None]
    return [here if SHARED_DATA.is_dir() else none, *away]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("recorded")
    if marker is None or "recording" not in metafunc.fixturenames:
        return
    matching = [sorted(SHARED_DATA.glob(pattern)) for pattern in marker.args]
    found = sorted({path for some in matching for path in some})
    if SHARED_DATA.is_dir() and not found:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: no recording matches {marker.args} in {SHARED_DATA}")
    few = {*found[:: -(-len(found) // FEW) or 1], *(some[0] for some in matching if some)}
    rest = pytest.mark.soak
    params = [pytest.param(path, id=str(path.relative_to(SHARED_DATA)), marks=[] if path in few else [rest]) for path in found]
    metafunc.parametrize("recording", params)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SHARED_DATA.is_dir():
        items[:] = [item for item in items if item.get_closest_marker("recorded") is None]
    items.sort(key=lambda item: item.path.name != "test_walk.py")  # the longest first: at the end one worker would go on alone


@pytest.fixture
def shared_data() -> Path | None:
    """The directory of recorded traffic; never None in a test marked `recorded`."""
    return SHARED_DATA if SHARED_DATA.is_dir() else None


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it: `await clock.advance(5)`."""
    return ManualClock()


pytest_plugins = ["tests.daemons", "tests.nats_servers", "tests.postgres", "tests.redis_server"]
