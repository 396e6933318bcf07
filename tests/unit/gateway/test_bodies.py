"""Bodies made to bring a gateway down: nested as deep as JSON is read, odd at every field."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from ray import cloudpickle

from serve_app.errors import InvalidRequest
from serve_app.gateway.govern import DEEPEST, parse, prompt_chars
from tests.unit.api_document import must_be_envelope, routes
from tests.unit.fake_gateway import ACME_KEY, Site, a_site

PATHS = [r.path for r in routes() if r.body and r.body.get("additionalProperties") is True]
FIELDS = (
    *("messages", "prompt", "input", "instructions"),
    *("tools", "tool_choice", "response_format", "structured_outputs", "text"),
    *("n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"),
    *("logprobs", "top_logprobs", "prompt_logprobs", "stop", "stop_token_ids"),
    *("stream", "background", "echo", "user", "chat_template", "chat_template_kwargs"),
    *("model", "cache_salt", "priority", "vllm_xargs", "metadata", "a field nobody knows"),
)
READ = 1023
"""The body's own level and these are as many as orjson reads."""


def _lists(levels: int) -> str:
    return "[" * levels + "]" * levels


def _objects(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


def _in_a_part(levels: int) -> str:
    """A conversation whose part has a type that is no text."""
    return f'[{{"role":"user","content":[{{"type":{_lists(levels - 4)}}}]}}]'


ODD = (
    *("null", "true", "0", "-1", "1.5", "1e308", "-0.0", "1" * 300, str(2**64)),
    *('""', '"\\u0000"', '"\\ud83d\\ude00"', "[]", "{}", '{"":{}}', "[[]]", "[{}]", "[null]"),
    *(
        '[1,"a",null,{},[]]',
        '[{"content":{}}]',
        '[{"content":[[]]}]',
        '[{"content":[{"type":{}}]}]',
    ),
    *('{"$ref":1}', '{"$defs":[]}', '{"$defs":{"":null}}', '{"definitions":{"$ref":"#"}}'),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


async def _send(site: Site, path: str, field: str, value: str) -> httpx.Response:
    named = "" if field == "model" else '"model":"finance",'
    headers = {"authorization": f"Bearer {ACME_KEY}"}
    body = f'{{{named}"{field}":{value}}}'
    return await site.client.post(path, headers=headers, content=body.encode())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_nested_too_deeply_is_refused(
    site: Site, path: str, field: str
) -> None:
    for levels in (DEEPEST, 300, 700, 990, READ):
        for nested in (_lists, _objects, _in_a_part):
            answer = await _send(site, path, field, nested(levels))
            assert answer.status_code == 400, f"{nested.__name__} {levels}: {answer.text}"
            must_be_envelope(answer.json())
            assert "nested deeper than 254 levels" in answer.json()["error"]["message"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("path", PATHS)
async def test_what_is_odd_is_refused_or_left_to_vllm(site: Site, path: str, field: str) -> None:
    deep = (nested(DEEPEST - 1) for nested in (_lists, _objects, _in_a_part))
    for value in (*ODD, *deep):
        answer = await _send(site, path, field, value)
        assert answer.status_code in (200, 400, 404), f"{value[:40]}: {answer.text}"
        if answer.status_code != 200:
            must_be_envelope(answer.json())


@pytest.mark.asyncio(loop_scope="module")
async def test_the_deepest_body_that_passes_reaches_a_replica_as_ray_carries_it(site: Site) -> None:
    """Ray pickles it where it is sent from, some dozens of calls deep."""
    nested = _lists(DEEPEST - 1)
    assert (await _send(site, "/v1/chat/completions", "metadata", nested)).status_code == 200
    body = site.replicas.calls[-1].body

    def pickled(calls: int) -> bytes:
        return pickled(calls - 1) if calls else cloudpickle.dumps(body)

    assert cloudpickle.loads(pickled(sys.getrecursionlimit() // 3)) == body


def test_a_body_is_as_deep_as_it_is_nested_and_not_as_it_has_brackets() -> None:
    deep = {"a": orjson.loads(_lists(DEEPEST - 1))}
    wide: dict[str, Any] = {"a": [{}] * 1000, "b": "[{" * 1000}
    for body in (deep, wide):
        assert parse(orjson.dumps(body)) == body
    with pytest.raises(InvalidRequest, match="nested deeper"):
        parse(b'{"a":' + _lists(DEEPEST).encode() + b"}")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ['"' + "x" * 100_000 + '"', "[" + "0," * 100_000 + "0]", "[]"])
async def test_an_answer_does_not_repeat_what_is_no_name_of_a_type(site: Site, kind: str) -> None:
    part = f'[{{"role":"user","content":[{{"type":{kind}}}]}}]'
    answer = await _send(site, "/v1/chat/completions", "messages", part)
    assert answer.status_code == 400
    assert len(answer.content) < 300


@pytest.mark.parametrize(
    ("prompt", "chars"),
    [([1] * 1000, 4000), ([[1, 2], [3]], 12), (["ab", "c"], 3), ([], 0), ([{"content": "abc"}], 3)],
    ids=str,
)
def test_a_prompt_is_as_long_as_its_text_or_its_tokens(prompt: Any, chars: int) -> None:
    assert prompt_chars({"prompt": prompt}) == chars
