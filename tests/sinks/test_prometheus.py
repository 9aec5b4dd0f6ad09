"""The metrics that existing dashboards ask for."""

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.sinks.prometheus import Prometheus, PrometheusConfig
from tests.samples import gap, quote, trade, trades


async def test_events_are_counted_by_venue_type_and_symbol(clock: ManualClock) -> None:
    metrics = Metrics()
    async with Prometheus(PrometheusConfig(), metrics, clock) as sink:
        await sink.write([*trades(1, 10), quote(1), trade(1, venue="bybit")])
        await sink.write([*trades(11, 12)])
    count = metrics.registry.get_sample_value

    assert 12 == count("market_events_total", {"provider": "binance", "type": "trade", "symbol": "BTCUSDT"})
    assert 1 == count("market_events_total", {"provider": "binance", "type": "quote", "symbol": "BTCUSDT"})
    assert 1 == count("market_events_total", {"provider": "bybit", "type": "trade", "symbol": "BTCUSDT"})


async def test_the_latency_is_ours_minus_the_venues_and_repairs_have_none(clock: ManualClock) -> None:
    metrics = Metrics()
    async with Prometheus(PrometheusConfig(), metrics, clock) as sink:
        await sink.write([trade(1)])
        await sink.write([trade(2, repaired=True)])
        await sink.write([quote(1)])
    value = metrics.registry.get_sample_value

    assert 0.5 == value("market_exchange_latency_ms_sum", {"provider": "binance"})
    assert 1 == value("market_exchange_latency_ms_count", {"provider": "binance"})


async def test_only_gaps_found_are_counted(clock: ManualClock) -> None:
    metrics = Metrics()
    async with Prometheus(PrometheusConfig(), metrics, clock) as sink:
        await sink.write([gap(1, 2), gap(1, 2, "filled"), gap(5, 6), gap(8, 8, venue="bybit")])

    assert 2 == metrics.registry.get_sample_value("market_gaps_total", {"provider": "binance"})


async def test_the_rate_is_that_of_the_last_whole_second_and_falls_to_nothing(clock: ManualClock) -> None:
    metrics = Metrics()
    labels = {"provider": "binance"}
    async with Prometheus(PrometheusConfig(), metrics, clock) as sink:
        await sink.write(trades(1, 50))
        await clock.advance(1)
        first = metrics.registry.get_sample_value("market_events_per_second", labels)
        await clock.advance(5)
        later = metrics.registry.get_sample_value("market_events_per_second", labels)

    assert (50, 0) == (first, later)


async def test_invented_names_beyond_a_number_are_counted_under_other(clock: ManualClock) -> None:
    metrics = Metrics()
    async with Prometheus(PrometheusConfig(symbols_max=100), metrics, clock) as sink:
        await sink.write([trade(1, symbol=f"S{at}") for at in range(1000)])
        await sink.write([trade(1, venue=f"v{at}", symbol="S0") for at in range(1000)])
    count = metrics.registry.get_sample_value
    series = [line for line in metrics.text().splitlines() if line.startswith(b"market_events_total{")]

    assert 900 == count("market_events_total", {"provider": "binance", "type": "trade", "symbol": "other"})
    assert 937 == count("market_events_total", {"provider": "other", "type": "trade", "symbol": "S0"})
    assert 101 + 64 == len(series)
