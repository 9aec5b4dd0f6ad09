from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.sinks.redis_noticed import LATELY_NS, Noticed


async def test_it_is_forgotten_after_a_while_and_then_said_again() -> None:
    clock = ManualClock()
    noticed = Noticed("redis://here", clock)
    with capture_logs() as lines:
        for _ in range(3):
            noticed.writers({("binance", "BTCUSDT"): "them", ("binance", "ETHUSDT"): "them"}, "us")
        seen = noticed.others
        await clock.advance(LATELY_NS / 1e9 + 1)
        later = noticed.others
        noticed.writers({("binance", "BTCUSDT"): "them"}, "us")

    assert {"trades:BTCUSDT": "them", "trades:ETHUSDT": "them"} == seen
    assert {} == later
    assert ["redis.two_writers"] * 2 == [line["event"] for line in lines]


def test_a_loss_names_some_streams_and_counts_the_others() -> None:
    noticed = Noticed("redis://here", ManualClock())
    noticed.loss([])
    assert noticed.lost is None

    noticed.loss([("binance", f"S{number}") for number in range(7)])

    assert noticed.lost is not None
    assert noticed.lost.endswith("in trades:S0, trades:S1, trades:S2, trades:S3, trades:S4 and 2 more")
