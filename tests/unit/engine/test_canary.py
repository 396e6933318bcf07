import json

import pytest

from serve_app.engine.canary import judge, question
from serve_app.errors import AdapterRefused
from tests.unit.fakes import a_version


def _answer(*logprobs: float | None) -> bytes:
    return json.dumps({"choices": [{"logprobs": {"token_logprobs": logprobs}}]}).encode()


def test_the_question_is_small_and_always_the_same() -> None:
    call = question(a_version())
    assert call.version == a_version()
    assert (call.body["max_tokens"], call.body["temperature"]) == (4, 0)


@pytest.mark.parametrize(
    "body", [_answer(-0.5, -9999.0), b'{"choices": [{"logprobs": null}]}', b"{}"]
)
def test_an_answer_that_is_finite_as_far_as_it_tells_is_good(body: bytes) -> None:
    judge("acme", body)


@pytest.mark.parametrize(
    "body", [_answer(-0.5, None), _answer(float("nan")), _answer(float("-inf"))]
)
def test_an_answer_that_is_not_finite_refuses_the_adapter(body: bytes) -> None:
    with pytest.raises(AdapterRefused) as refused:
        judge("acme", body)
    assert refused.value.code == "adapter_probe_failed"
