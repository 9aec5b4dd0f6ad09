"""Features, signals and alerts on real NATS, as their subscribers get them; and when NATS is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats
import pytest
from structlog.testing import capture_logs

from marketd.analysis import publishing
from marketd.analysis.payloads import NAMES, NOTHING, Alert, Features, Quality, Signal
from marketd.analysis.publishing import Publisher
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.net.nats import NatsConfig, open_link
from marketd.net.nats_session import Session
from marketd.rooms import room
from tests.daemons import eventually
from tests.nats_servers import NatsServer

CLOCK = SystemClock()
SIGNAL = Signal("BTCUSDT", "binance", "long", 7, "momentum_long", "return_10s > 0.003", {"return_10s": 0.004}, Quality())


def features(symbol: str = "BTCUSDT", ts: int = 7) -> Features:
    return Features(symbol, "binance", ts, NOTHING, Quality())


@asynccontextmanager
async def listening(server: NatsServer) -> AsyncIterator[list[tuple[str, Any]]]:
    heard: list[tuple[str, Any]] = []

    async def hear(message: Any) -> None:
        heard.append((message.subject, msgspec.json.decode(message.data)))

    client = await nats.connect(server.url)
    await client.subscribe("senpai.>", cb=hear)
    await client.flush()
    try:
        yield heard
    finally:
        await client.close()


@asynccontextmanager
async def publisher(server: NatsServer) -> AsyncIterator[tuple[Publisher, Metrics]]:
    metrics = Metrics()
    config = NatsConfig.model_validate({"url": server.url, "enabled": True})
    async with open_link(config, "marketd-test", CLOCK) as link, room("test") as here:
        one = Publisher(link, CLOCK, metrics)
        here.start("publisher", one.run())
        yield one, metrics


async def test_each_kind_has_its_subject_and_the_promised_fields(plain_nats_server: NatsServer) -> None:
    async with listening(plain_nats_server) as heard, publisher(plain_nats_server) as (one, metrics):
        one.features(features())
        one.signal(SIGNAL)
        one.alert(Alert("gap", "BTCUSDT", 7, "binance: lost"))
        await eventually(lambda: len(heard) == 3)
        by_subject = dict(heard)

    assert {"symbol", "provider", "ts", "features", "quality"} == set(by_subject["senpai.features.BTCUSDT"])
    assert dict.fromkeys(NAMES) == by_subject["senpai.features.BTCUSDT"]["features"]
    signal = by_subject["senpai.signals.BTCUSDT"]
    assert {"symbol", "provider", "direction", "ts", "rule", "inputs", "quality"} <= set(signal)
    assert ("long", {"return_10s": 0.004}) == (signal["direction"], signal["inputs"])
    assert {"kind": "gap", "symbol": "BTCUSDT", "ts": 7, "detail": "binance: lost"} == by_subject["senpai.alerts"]
    assert b'senpai_feature_publish_total{symbol="BTCUSDT"} 1.0' in metrics.text()
    assert b'senpai_signals_emitted_total{direction="long",symbol="BTCUSDT"} 1.0' in metrics.text()
    assert b'senpai_alerts_total{kind="gap"} 1.0' in metrics.text()


async def test_of_features_that_wait_the_latest_is_sent(plain_nats_server: NatsServer) -> None:
    async with listening(plain_nats_server) as heard, publisher(plain_nats_server) as (one, _):
        for ts in range(100):
            one.features(features(ts=ts))
            one.features(features("BRK.B", ts=ts))
        await eventually(lambda: len(heard) == 2)

        assert {"senpai.features.BTCUSDT": 99, "senpai.features.BRK_B": 99} == {subject: said["ts"] for subject, said in heard}


async def test_without_a_server_each_message_is_counted_and_the_loss_said_once(plain_nats_server: NatsServer) -> None:
    with capture_logs() as lines:
        async with publisher(plain_nats_server) as (one, metrics):
            plain_nats_server.kill()
            await eventually(lambda: not one._link.state.connected)  # type: ignore[union-attr]
            one.features(features())
            await eventually(lambda: one.errors == 1)
            one.signal(SIGNAL)
            await eventually(lambda: one.errors == 2)
            plain_nats_server.start()
            await eventually(lambda: one._link.state.connected)  # type: ignore[union-attr]
            one.features(features())
            await eventually(lambda: one.published == 1)

    assert b'senpai_publish_errors_total{subject="senpai.features.BTCUSDT"} 1.0' in metrics.text()
    assert b'senpai_publish_errors_total{subject="senpai.signals.BTCUSDT"} 1.0' in metrics.text()
    assert 1 == len([line for line in lines if line["event"] == "features.not_published"])


async def test_what_waits_is_bounded(plain_nats_server: NatsServer) -> None:
    async with publisher(plain_nats_server) as (one, _):
        for _ in range(publishing.WAITING_MAX + 5):
            one.signal(SIGNAL)

        assert (publishing.WAITING_MAX, 5) == (len(one._waiting), one.errors)


async def test_without_a_link_nothing_is_sent_and_nothing_is_an_error() -> None:
    one = Publisher(None, CLOCK, Metrics())
    one.features(features())
    one.signal(SIGNAL)
    async with asyncio.timeout(5):
        await one.run()

    assert (0, 0) == (one.published, one.errors)


async def test_who_may_not_publish_says_nothing_and_counts_it(plain_nats_server: NatsServer) -> None:
    async with listening(plain_nats_server) as heard, publisher(plain_nats_server) as (one, _):
        one._may_publish = lambda: False
        one.features(features(ts=7))
        one.signal(SIGNAL)
        await eventually(lambda: one.withheld == 2)
        one._may_publish = lambda: True
        one.features(features(ts=8))
        await eventually(lambda: heard)

        assert [8] == [message["ts"] for _, message in heard]


async def test_a_message_larger_than_the_server_takes_is_counted_and_said_and_costs_no_connection(
    plain_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "max_payload", 1024)
    large = msgspec.structs.replace(SIGNAL, expression="x" * 2000)
    with capture_logs() as lines:
        async with listening(plain_nats_server) as heard, publisher(plain_nats_server) as (one, metrics):
            one.signal(large)
            one.signal(SIGNAL)
            one.features(features())
            await eventually(lambda: len(heard) == 2)
            one.signal(large)
            await eventually(lambda: one.errors == 2)

            assert {"senpai.features.BTCUSDT", "senpai.signals.BTCUSDT"} == {subject for subject, _ in heard}
            assert (2, 0) == (one.published, one._link.state.reconnects)  # type: ignore[union-attr]
    said = [line["error"] for line in lines if line["event"] == "features.not_published"]

    assert ["larger than 1,024 bytes, the server's max_payload"] == said
    assert b'senpai_publish_errors_total{subject="senpai.signals.BTCUSDT"} 2.0' in metrics.text()


async def test_symbols_without_end_do_not_make_series_without_end(
    plain_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "SYMBOLS_MAX", 2)
    metrics = Metrics()
    async with open_link(NatsConfig.model_validate({"url": plain_nats_server.url, "enabled": True}), "test", CLOCK) as link:
        publisher = Publisher(link, CLOCK, metrics)
        for number in range(5):
            publisher.features(features(f"S{number}"))
            publisher.signal(msgspec.structs.replace(SIGNAL, symbol=f"S{number}"))
        await publisher.flush()
    lines = metrics.text().decode().splitlines()

    assert 'senpai_feature_publish_total{symbol="other"} 3.0' in lines
    assert 'senpai_signals_emitted_total{direction="long",symbol="other"} 3.0' in lines
    assert 3 == len([line for line in lines if line.startswith("senpai_feature_publish_total{")])
