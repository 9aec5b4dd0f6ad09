"""How a sink is doing, as data."""

import msgspec

from marketd.bus import Bus, Full
from marketd.metrics import Metrics
from marketd.sinks.sink import Latencies, SinkState


def test_percentiles_are_of_the_recent_samples() -> None:
    latencies = Latencies(size=100)

    assert latencies.percentile(0.5) is None

    for ms in range(1000):
        latencies.add(float(ms))

    assert (950.0, 999.0, 999.0) == (latencies.percentile(0.5), latencies.percentile(0.99), latencies.percentile(1.0))


def test_a_state_goes_into_json() -> None:
    with Bus(Metrics()).subscribe("console", full=Full.SHED) as subscription:
        state = SinkState("console", False, 5, subscription)

        assert ("opening", 0, None) == tuple(
            msgspec.json.decode(msgspec.json.encode(state.as_dict()))[key] for key in ("reason", "waiting", "stored_ms_p99")
        )
