import json
import logging

import pytest

from serve_app.telemetry.access_log import Access, write

OUTCOMES = {
    "an answer": (200, None, "ok"),
    "a client that left before the head": (499, None, "client_gone"),
    "a client that left during a stream": (200, "client_gone", "client_gone"),
    "a stream cut short": (200, "replica_lost", "replica_lost"),
    "a refusal": (429, "rate_limit_exceeded", "rate_limit_exceeded"),
    "a refusal nobody named": (400, None, "error"),
    "a failure": (500, None, "error"),
}


@pytest.mark.parametrize(("status", "error", "outcome"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_outcome_is_one_word_for(status: int, error: str | None, outcome: str) -> None:
    assert Access("id", "/", status, error=error).outcome == outcome


@pytest.mark.parametrize(
    ("status", "error", "failed"),
    [
        (200, None, False),
        (200, "replica_lost", True),
        (200, "client_gone", False),
        (200, "client_too_slow", False),
        (499, None, False),
        (429, "rate_limit_exceeded", False),
        (503, "overloaded", True),
    ],
)
def test_an_answer_fails_through_no_fault_of_the_client(
    status: int, error: str | None, failed: bool
) -> None:
    assert Access("id", "/", status, error=error).failed is failed


def test_a_request_is_one_record_that_can_be_written_as_json(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ray.serve")
    write(Access("id", "/v1/chat\n/completions", 200, tenant="acme"))
    (record,) = caplog.records
    assert record.getMessage() == "access"
    line = json.dumps(record.__dict__["access"])
    assert "\n" not in line
    assert json.loads(line)["tenant"] == "acme"
