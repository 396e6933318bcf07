from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidRequest
from serve_app.gateway.govern import OURS, REFUSED, govern
from serve_app.settings import GatewaySettings

LIMITS = GatewaySettings(max_tokens=100, max_n=2, max_logprobs=5, max_stop=2, max_prompts=3)
SALT = "salt-of-the-tenant"


def _govern(body: dict[str, Any], adapter: bool = True) -> dict[str, Any]:
    return govern(body, LIMITS, adapter=adapter, cache_salt=SALT)


@pytest.mark.parametrize("field", REFUSED)
@pytest.mark.parametrize("value", [{}, [], "", 0, {"x": 1}], ids=str)
def test_fields_that_are_internal_are_refused_even_if_empty(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _govern({field: value})
    assert refused.value.param == field


@pytest.mark.parametrize("field", REFUSED)
def test_fields_that_are_internal_may_be_left_open(field: str) -> None:
    assert _govern({field: None})["cache_salt"] == SALT


def test_internal_fields_of_vllm_are_all_known() -> None:
    """Each of these reaches past the sampler in vLLM 0.32."""
    assert REFUSED.keys() >= {"kv_transfer_params", "ec_transfer_params", "vllm_xargs"}


PROMPT_LOGPROBS: dict[str, tuple[dict[str, Any], str]] = {
    "prompt log probabilities": ({"prompt_logprobs": 2}, "prompt_logprobs"),
    "none but the prompt's own": ({"prompt_logprobs": 0}, "prompt_logprobs"),
    "an echo with log probabilities": ({"echo": True, "logprobs": 1}, "echo"),
    "an echo with the token's own": ({"echo": True, "logprobs": 0}, "echo"),
    "an echo of a completion with a switch": ({"echo": True, "logprobs": False}, "echo"),
    "an echo of a chat": ({"echo": True, "messages": []}, "echo"),
    "an echo of a chat with top ones": ({"echo": True, "top_logprobs": 0}, "echo"),
}
"""Each makes vLLM 0.32 compute log probabilities of prompts, over which its CPU engine ends when
an adapter answers several at once."""


@pytest.mark.parametrize(("body", "param"), PROMPT_LOGPROBS.values(), ids=PROMPT_LOGPROBS)
def test_an_adapter_never_computes(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _govern(body)
    assert refused.value.param == param


def test_the_base_may_compute_log_probabilities_of_its_prompt() -> None:
    body = {"prompt": "a", "prompt_logprobs": 1, "echo": True, "logprobs": 1}
    assert _govern(body, adapter=False) == body | {"cache_salt": SALT}


def test_an_adapter_may_echo_a_prompt_of_a_completion() -> None:
    assert _govern({"prompt": "a", "echo": True})["echo"] is True


values = st.none() | st.booleans() | st.integers(-3, 200) | st.text(max_size=5) | st.just({"a": 1})
fields = st.sampled_from([*OURS, "n", "max_tokens", "echo", "logprobs", "stop", "prompt", "input"])
bodies = st.dictionaries(fields, values | st.lists(st.text(max_size=3), max_size=4), max_size=8)


@given(bodies, st.booleans())
def test_nothing_that_is_ours_to_set_comes_from_a_client(
    body: dict[str, Any], adapter: bool
) -> None:
    try:
        governed = _govern(body, adapter)
    except InvalidRequest:
        return
    assert not governed.keys() & (set(OURS) - {"cache_salt"})
    assert governed["cache_salt"] == SALT
    assert governed.items() >= {k: v for k, v in body.items() if k not in OURS}.items()
    assert _govern(governed, adapter) == governed, "governing again changes nothing"


@given(bodies)
def test_without_a_salt_of_ours_there_is_none(body: dict[str, Any]) -> None:
    try:
        governed = govern(body, LIMITS, adapter=False, cache_salt=None)
    except InvalidRequest:
        return
    assert "cache_salt" not in governed
