"""vLLM as an ``Engine``: the one file that knows vLLM's own objects and where they live.

vLLM builds its OpenAI serving objects itself, from its own command-line defaults, so every option
it takes works here; the objects are then called directly, without vLLM's HTTP server.
"""

import asyncio
import logging
from argparse import Namespace
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import State
from starlette.requests import Request
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.entrypoints.pooling.embed.protocol import EmbeddingRequest
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.tokenize.protocol import DetokenizeRequest, TokenizeRequest
from vllm.lora.request import LoRARequest
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from serve_app.adapters.names import public_name
from serve_app.adapters.version import Version
from serve_app.engine.interface import EngineDead, EngineLoad, Stream, Whole
from serve_app.engine.refusals import from_vllm
from serve_app.engine.tally import TALLY, Tally, counted
from serve_app.engine.vllm_answers import Events, usage_of
from serve_app.engine.vllm_config import with_room
from serve_app.errors import AdapterRefused, ApiError, ConfigError, InvalidRequest, NotSupported
from serve_app.routing.messages import Call, Operation
from serve_app.settings import EngineSettings

LOGGER = logging.getLogger("ray.serve")

_MODELS: dict[Operation, TypeAdapter[Any]] = {
    Operation.CHAT: TypeAdapter(ChatCompletionRequest),
    Operation.COMPLETION: TypeAdapter(CompletionRequest),
    Operation.EMBEDDING: TypeAdapter(EmbeddingRequest),
    Operation.RESPONSE: TypeAdapter(ResponsesRequest),
    Operation.TOKENIZE: TypeAdapter(TokenizeRequest),
    Operation.DETOKENIZE: TypeAdapter(DetokenizeRequest),
}


def parse_args(settings: EngineSettings) -> Namespace:
    """vLLM's own view of the settings, as its ``serve`` command would have parsed them.

    Raises:
        ConfigError: vLLM does not know an option or refuses its value.
    """
    parser = make_arg_parser(_Parser())
    args: Namespace = parser.parse_args(settings.as_vllm_arguments())
    validate_parsed_serve_args(args)
    return args


class _Parser(FlexibleArgumentParser):  # type: ignore[misc]
    def error(self, message: str) -> None:
        raise ConfigError(f"engine: vLLM refuses these settings: {message}")


class VllmEngine:
    """One ``AsyncLLM`` with LoRA on, and the serving objects around it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._args = parse_args(settings)
        self._base = settings.base_name
        self._load = EngineLoad()

    async def start(self) -> None:
        """Start the engine process and build the serving objects. Takes tens of seconds."""
        config, self.max_num_seqs = with_room(AsyncEngineArgs.from_cli_args(self._args))
        self.max_loras: int = config.lora_config.max_loras
        self.max_cpu_loras: int = config.lora_config.max_cpu_loras
        self._llm = AsyncLLM.from_vllm_config(
            config, stat_loggers=[self._stat_logger], disable_log_stats=True
        )
        self._llm.generate = counted(self._llm.generate)
        state = State()
        tasks = await self._llm.get_supported_tasks()
        await init_app_state(self._llm, state, self._args, tasks)
        self._models = state.openai_serving_models
        self._models.model_name = self._public_name
        self._handlers = _handlers(state)

    async def answer(self, call: Call) -> Whole | Stream:
        """Answer with vLLM's own request models, defaults and errors."""
        handler = self._handlers[call.operation]
        if handler is None:
            raise NotSupported(f"The base model does not support {call.operation} requests.")
        http, tally = _request_for(call), Tally()
        TALLY.set(tally)
        try:
            answer = await handler(self._request(call), http)
        except EngineDeadError as error:
            raise EngineDead(str(error)) from error
        except InvalidRequest:
            raise
        except Exception as error:
            answer = create_error_response(error)
        if isinstance(answer, ErrorResponse):
            raise self._refusal(answer)
        if isinstance(answer, AsyncGenerator):
            return Events(answer, http, tally)
        body = answer.model_dump_json(by_alias=call.operation is Operation.RESPONSE)
        usage = usage_of(getattr(answer, "usage", None))
        return Whole(200, body.encode(), replace(usage, finish=tally.usage.finish))

    async def load_adapter(self, version: Version, directory: Path, engine_id: int) -> None:
        """A load that fails may leave its id registered, and using that would end the engine: so
        the id is removed, and must be gone."""
        request = LoRARequest(version.name, engine_id, str(directory))
        try:
            taken = await self._llm.add_lora(request)
        except EngineDeadError as error:
            raise EngineDead(str(error)) from error
        except Exception as error:
            LOGGER.error("vLLM refused adapter %s: %s", version.name, error)
            taken = False
        if not taken:
            await self.unload_adapter(engine_id)
            raise AdapterRefused(f"the engine refused adapter {version.adapter!r}")
        self._models.lora_requests[version.name] = request

    async def unload_adapter(self, engine_id: int) -> None:
        """What counts is that the engine does not list it any more."""
        named = self._models.lora_requests
        for name in [n for n, request in named.items() if request.lora_int_id == engine_id]:
            del named[name]
        try:
            await self._llm.remove_lora(engine_id)
        except EngineDeadError as error:
            raise EngineDead(str(error)) from error
        if engine_id in await self.held():
            raise EngineDead(f"the engine keeps adapter {engine_id}, which it was told to free")

    async def held(self) -> frozenset[int]:
        try:
            return frozenset(await self._llm.list_loras())
        except EngineDeadError as error:
            raise EngineDead(str(error)) from error

    def load(self) -> EngineLoad:
        if self._llm.errored:
            return EngineLoad(alive=False)
        return self._load

    async def check(self) -> None:
        """The engine's own word, and a question its loop must answer within the hang timeout."""
        if self._llm.errored:
            raise EngineDead("the engine process has stopped")
        try:
            async with asyncio.timeout(self._settings.hang_timeout_s):
                await self.held()
        except TimeoutError:
            raise EngineDead(
                f"the engine did not answer for {self._settings.hang_timeout_s:g} s"
            ) from None

    def stop(self) -> None:
        if hasattr(self, "_llm"):  # it may never have started
            self._llm.shutdown()

    def _request(self, call: Call) -> Any:
        """Errors of vLLM's own that its models' validators raise, pydantic lets through."""
        model = call.version.name if call.version else self._base
        body = {**call.body, "model": model, "request_id": call.request_id}
        try:
            return _MODELS[call.operation].validate_python(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"] if part != "body")
            raise InvalidRequest(
                f"{where or 'body'}: {first['msg']}", param=where or None
            ) from None

    def _refusal(self, answer: ErrorResponse) -> ApiError | EngineDead:
        if self._llm.errored:
            return EngineDead(answer.error.message)
        return from_vllm(answer.error.model_dump())

    def _public_name(self, lora: LoRARequest | None = None) -> str:
        if lora is None:
            return self._base
        return public_name(self._base, lora.lora_name.rpartition("@")[0])

    def _stat_logger(self, *_args: Any) -> StatLoggerBase:
        return _LoadLogger(self._heard)

    def _heard(self, load: EngineLoad) -> None:
        self._load = load


def _handlers(state: State) -> dict[Operation, Callable[..., Any] | None]:
    def method(holder: str, name: str) -> Callable[..., Any] | None:
        return getattr(getattr(state, holder, None), name, None)

    return {
        Operation.CHAT: method("openai_serving_chat", "create_chat_completion"),
        Operation.COMPLETION: method("openai_serving_completion", "create_completion"),
        Operation.EMBEDDING: method("serving_embedding", "__call__"),
        Operation.RESPONSE: method("openai_serving_responses", "create_responses"),
        Operation.TOKENIZE: method("serving_tokenization", "create_tokenize"),
        Operation.DETOKENIZE: method("serving_tokenization", "create_detokenize"),
    }


def _request_for(call: Call) -> Request:
    """The HTTP request vLLM expects beside its own model: our request id and nothing of the
    client's, so that no header of theirs steers the engine."""
    headers = [(b"x-request-id", call.request_id.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers, "state": {}})


class _LoadLogger(StatLoggerBase):  # type: ignore[misc]
    """Hands the scheduler's state to the engine instead of a log."""

    def __init__(self, heard: Callable[[EngineLoad], None]) -> None:
        self._heard = heard

    def record(self, scheduler_stats: Any, *_args: Any, **_kwargs: Any) -> None:
        if scheduler_stats is not None:
            waiting = scheduler_stats.num_waiting_reqs + scheduler_stats.num_skipped_waiting_reqs
            running = scheduler_stats.num_running_reqs
            self._heard(EngineLoad(running, waiting, scheduler_stats.kv_cache_usage))

    def log_engine_initialized(self) -> None: ...
