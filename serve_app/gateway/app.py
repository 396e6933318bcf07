"""The gateway's ASGI application: routes, error envelope, logbook."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serve_app import __version__
from serve_app.errors import INVALID_REQUEST, ApiError, InvalidRequest, envelope
from serve_app.gateway.answers import error_response
from serve_app.gateway.body_limit import BodyLimit
from serve_app.gateway.error_schema import REFUSALS
from serve_app.gateway.gateway import Gateway
from serve_app.gateway.logbook import Logbook
from serve_app.gateway.routes import (
    admin,
    experiments,
    feedback,
    health,
    inference,
    keys,
    lora,
    models,
    tenants,
    usage,
    vllm_lora,
)
from serve_app.telemetry.gateway_metrics import GatewayMetrics

LOGGER = logging.getLogger("ray.serve")
ROUTES = (
    *(inference, models, lora, vllm_lora, experiments, feedback),
    *(admin, tenants, keys, usage, health),
)
_CODES = {404: "unknown_url", 405: "method_not_allowed", 413: "request_too_large"}


def create_app(gateway: Gateway, metrics: GatewayMetrics, max_body_bytes: int) -> FastAPI:
    """The application that serves ``gateway``."""
    app = FastAPI(
        title="serve_app",
        version=__version__,
        description="One base model, many LoRA adapters, many tenants, behind OpenAI's API.",
        redoc_url=None,
        redirect_slashes=False,  # it would send clients to whatever host they name
        lifespan=_closing,
    )
    app.state.gateway = gateway
    for routes in ROUTES:
        app.include_router(routes.router, responses=REFUSALS)
    app.add_exception_handler(ApiError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    app.add_middleware(Logbook, metrics=metrics, note=gateway.meter.note)
    return app


@asynccontextmanager
async def _closing(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.gateway.close()


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    request.state.access.error = error.code
    return error_response(error)


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, *parts = first["loc"]
    if first["type"] == "json_invalid":  # and then says where, by its byte
        return await _refuse(request, InvalidRequest("The body is not valid JSON."))
    param = ".".join(map(str, parts)) or None
    message = f"{param or f'the {where}'}: {first['msg']}"
    return await _refuse(request, InvalidRequest(message, param=param))


async def _refuse_http(request: Request, error: Exception) -> Response:
    """No such route, or not with this method, or not so large a body."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    request.state.access.error = code
    message = f"{error.detail} ({request.method} {request.url.path})"
    body = envelope(message, type_=INVALID_REQUEST, param=None, code=code)
    headers = dict(error.headers or {})
    return Response(orjson.dumps(body), error.status_code, headers, "application/json")


async def _fail(request: Request, error: Exception) -> Response:
    LOGGER.error("request %s failed", request.state.access.request_id, exc_info=error)
    return await _refuse(request, ApiError("The server failed on this request."))
