"""The metrics that dashboards ask for."""

from marketd.metrics import Metrics


def test_names_that_existing_dashboards_ask_for_are_there() -> None:
    metrics = Metrics()
    metrics.events.labels("one", "trade", "BTCUSDT").inc()
    metrics.latency_ms.labels("one").observe(3)
    metrics.events_per_second.labels("one").set(1)
    metrics.gaps.labels("one").inc()
    text = metrics.text().decode()

    assert 'market_events_total{provider="one",symbol="BTCUSDT",type="trade"} 1.0' in text
    assert 'market_exchange_latency_ms_bucket{le="5.0",provider="one"} 1.0' in text
    assert 'market_events_per_second{provider="one"} 1.0' in text
    assert 'market_gaps_total{provider="one"} 1.0' in text


def test_the_ten_metrics_of_the_features_are_there_from_the_start() -> None:
    text = Metrics().text().decode()

    assert {
        "senpai_events_in_total", "senpai_events_dropped_total", "senpai_queue_fill_ratio", "senpai_processing_latency_ms",
        "senpai_feature_publish_total", "senpai_signals_emitted_total", "senpai_nats_connected", "senpai_alerts_total",
        "senpai_publish_errors_total", "senpai_tracked_symbols",
    } == {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE senpai_")}  # fmt: skip


def test_two_daemons_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.gaps.labels("one").inc()

    assert 'market_gaps_total{provider="one"}' not in other.text().decode()
