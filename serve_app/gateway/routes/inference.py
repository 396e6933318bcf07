"""OpenAI's inference routes, and vLLM's tokenizer routes."""

from typing import Any

from fastapi import APIRouter, Request, Response

from serve_app.experiments.unit import HEADER, MAX_CHARS
from serve_app.gateway.routes.dependencies import TheGateway, TheIdentity, documented_auth, needs
from serve_app.routing.messages import GENERATING, Operation
from serve_app.tenancy.keys import Scope

router = APIRouter(tags=["inference"])

_MESSAGES = [{"role": "user", "content": "What moved the quarter?"}]
_UNIT = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": MAX_CHARS},
    "description": "What an experiment assigns to an arm, in place of the body's `user`.",
}
_EXAMPLES: dict[Operation, tuple[str, dict[str, Any]]] = {
    Operation.CHAT: ("/v1/chat/completions", {"model": "base", "messages": _MESSAGES}),
    Operation.COMPLETION: ("/v1/completions", {"model": "base", "prompt": "The quarter"}),
    Operation.EMBEDDING: ("/v1/embeddings", {"model": "base", "input": "The quarter"}),
    Operation.RESPONSE: ("/v1/responses", {"model": "base", "input": "What moved it?"}),
    Operation.TOKENIZE: ("/tokenize", {"model": "base", "prompt": "The quarter"}),
    Operation.DETOKENIZE: ("/detokenize", {"model": "base", "tokens": [1, 2, 3]}),
}


def _add(operation: Operation, path: str, example: dict[str, Any]) -> None:
    async def answer(request: Request, gateway: TheGateway, identity: TheIdentity) -> Response:
        return await gateway.answer(request, identity, operation)

    schema = {"type": "object", "additionalProperties": True, "example": example}
    answers: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if operation in GENERATING:
        answers["text/event-stream"] = {"schema": {"type": "string"}}
    router.add_api_route(
        path,
        answer,
        methods=["POST"],
        name=f"create_{operation}",
        summary=f"Answer one {operation} request",
        response_class=Response,
        responses={200: {"content": answers}},
        dependencies=[documented_auth, needs(Scope.INFERENCE)],
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "parameters": [_UNIT],
        },
    )


for _operation, (_path, _example) in _EXAMPLES.items():
    _add(_operation, _path, _example)
