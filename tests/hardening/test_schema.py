"""The whole daemon against what it says of itself: whatever its OpenAPI document allows or forbids, answers are as it says."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.hardening.whole import Whole, run_whole

FEW, MANY = 4, 1000  # requests for each operation and kind
EVENTS = "text/event-stream"
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
STATES = {"GET /health", "GET /readyz"}  # whose 503 is an answer: a venue or store that is slow on a busy machine
# What is there to be asked for, so that answers, and not refusals only, are held against the schema; None is left out.
KNOWN: dict[str, Any] = {
    "symbol": "BTCUSDT", "exchange": "binance", "provider": "binance", "timeframe": "1m", "tf": None, "cursor": None,
    "start": "2020-01-01", "end": "2100-01-01T00:00:00Z", "since": "1700000000", "type": "cache_write", "source": "market-data",
    "channel": "market:update:all", "include": "closed,revision,source", "symbols": ["BTCUSDT", "ETHUSDT"],
}  # fmt: skip
TIMEFRAMES = {"/candles": "1m", "/candles/latest": "1m", "/analysis": "1h"}
NEVER_WELL = {"GET /ws"}  # by plain HTTP


pytestmark = pytest.mark.timeout(600)  # with the start of the whole, on a busy machine


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with run_whole(tmp_path_factory.mktemp("whole")) as running:
        yield running


def test_every_answer_is_as_the_schema_says(whole: Whole) -> None:
    asked = ask_all(whole, FEW)
    operations = {label for label, _ in asked}

    assert len(operations) >= 36, sorted(operations)
    assert operations - {label for label, is_well in asked if is_well} == NEVER_WELL
    assert [] == whole.mistakes()


@pytest.mark.soak
def test_every_answer_is_as_the_schema_says_however_often_it_is_asked(whole: Whole) -> None:
    ask_all(whole, MANY)

    assert [] == whole.mistakes()


Asked = Counter[tuple[str, bool]]  # operation, and whether it was answered and not refused


def ask_all(whole: Whole, count: int) -> Asked:
    """How often each operation was answered. All failures at once, each with the command that asks again."""
    schema = schemathesis.openapi.from_dict(requests.get(f"{whole.address}/openapi.json", timeout=60).json())
    asked: Asked = Counter()
    failures: list[str] = []
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()
            kinds = {
                "known": operation.as_strategy().map(known),
                "valid": operation.as_strategy(),
                "invalid": operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
            }
            for name, cases in kinds.items():
                try:
                    asking(cases, count, lambda case: ask(whole, session, case, asked))()
                except Unsatisfiable:
                    assert name == "invalid", operation.label  # nothing of it can be wrong
                except (FailureGroup, AssertionError, requests.RequestException) as failure:
                    said = [str(one) for one in failure.exceptions] if isinstance(failure, FailureGroup) else [str(failure)]
                    failures.append(f"{operation.label}, {name}: {' | '.join(said)}\n{failure}")

    assert [] == failures, "\n\n".join(failures)
    return asked


def known(case: Case) -> Case:
    """The same question about something that is there."""
    for given in (case.query, case.body):
        for name in [*given] if isinstance(given, dict) else []:
            given[name] = KNOWN.get(name, given[name])
            if given[name] is None:
                del given[name]
    if case.path in TIMEFRAMES:
        case.query["timeframe"] = TIMEFRAMES[case.path]
    return case


def asking(cases: Any, count: int, ask: Callable[[Case], None]) -> Callable[[], None]:
    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(case=cases)
    def run(case: Case) -> None:
        ask(case)

    return run


def ask(whole: Whole, session: requests.Session, case: Case, asked: Asked) -> None:
    """One request; of an answer without an end the beginning."""
    wanted = dict(whole.authorised)
    checks = [one for one in CHECKS if one is not not_a_server_error] if case.operation.label in STATES else CHECKS
    if EVENTS in str(case.operation.definition.raw["responses"]):
        sent = case.as_transport_kwargs(base_url=whole.address, headers=wanted)
        with session.request(**sent, stream=True, timeout=60) as answer:
            if answer.status_code == 200:
                check_events(answer)
            else:
                case.validate_response(answer, checks=checks, transport_kwargs={"base_url": whole.address, "session": session})
    else:
        answer = case.call(base_url=whole.address, session=session, headers=wanted, timeout=60)
        case.validate_response(
            answer,
            checks=checks,
            headers=wanted,
            transport_kwargs={"base_url": whole.address, "session": session, "headers": wanted},
        )
    asked[case.operation.label, answer.status_code < 300] += 1


def check_events(answer: requests.Response) -> None:
    assert answer.headers["content-type"].partition(";")[0] == EVENTS

    first = next(answer.iter_content(65_536))
    assert first.startswith((b"retry: ", b"event: ", b"id: ")), first[:100]
