"""Lines are events with fields, in two forms, and never show a secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from marketd.log import CODES, LoggingConfig, configure, hide


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().setLevel(level)
    for handler in list(logging.getLogger().handlers):
        if getattr(handler, "of_marketd", False):
            logging.getLogger().removeHandler(handler)


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_have_event_level_time_and_fields() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    structlog.get_logger().info("binance.connected", venue="binance", streams=4)
    (line,) = lines_of(out)

    assert str(line.pop("ts")).endswith("Z")
    assert line == {"event": "binance.connected", "level": "info", "venue": "binance", "streams": 4}


def test_away_from_a_terminal_lines_are_json() -> None:
    out = io.StringIO()
    configure(LoggingConfig(), stream=out)
    structlog.get_logger().info("started")

    assert lines_of(out)[0]["event"] == "started"


def test_text_lines_are_for_reading() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="text"), stream=out)
    structlog.get_logger().info("started", port=8100)

    assert "started" in out.getvalue()
    assert "port=8100" in out.getvalue()


def test_a_code_brings_what_it_means() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    structlog.get_logger().warning("kraken.reconnecting", venue="kraken", code="feed-reconnecting")
    (line,) = lines_of(out)

    assert line["effect"] == CODES["feed-reconnecting"].effect
    assert line["next"] == CODES["feed-reconnecting"].next


def test_of_equal_lines_the_first_explains_the_code() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    for _ in range(2):
        structlog.get_logger().warning("kraken.reconnecting", venue="kraken")
    first, second = lines_of(out)

    assert {"code", "cause", "effect", "next"} <= set(first)
    assert second["code"] == "feed-reconnecting"
    assert {"cause", "effect", "next", "is_repeated"}.isdisjoint(second)


def test_secrets_are_masked_wherever_they_stand() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    hide("tell-nobody")
    structlog.get_logger().error(
        "nats.error",
        error=OSError("cannot reach nats://me:hunter2@host"),
        url="https://host/?api_key=abcdef&x=1",
        token="abc",
        inner={"password": "abc", "words": ["it is tell-nobody"]},
        header="Authorization: Bearer abcdefghijkl",
    )
    text = out.getvalue()

    assert [word for word in ("hunter2", "abcdef", "tell-nobody", '"abc"') if word in text] == []
    assert "nats://me:***@host" in text


def test_lines_of_libraries_come_in_the_same_form() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")

    assert lines_of(out)[0]["event"] == "odd thing"


def test_less_important_lines_are_left_out() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json", level="warning"), stream=out)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in lines_of(out)] == ["loud"]


def test_a_long_text_is_cut_after_it_was_masked() -> None:
    out = io.StringIO()
    configure(LoggingConfig(format="json"), stream=out)
    secret = "nats://me:" + "p" * 40_000 + "@host"

    structlog.get_logger().warning("x", frame="a" * 1_000_000, url=secret, data=b"\xff" * 1_000_000)

    line = json.loads(out.getvalue())
    assert len(line["frame"]) < 17_000
    assert "letters left out" in line["frame"]
    assert len(line["data"]) < 17_000
    assert line["url"] == "nats://me:***@host"
