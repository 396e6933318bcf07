"""The one error tree: a stable code, an HTTP status and a message that is safe to show.

It knows nothing of HTTP frameworks; ``gateway/`` turns these into OpenAI's envelope.
"""

from collections.abc import Mapping
from typing import Any

INVALID_REQUEST = "invalid_request_error"


class ServeAppError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(ServeAppError):
    """A configuration that cannot be served. The message names the key and what is allowed."""


class ApiError(ServeAppError):
    """An error a client may see.

    Attributes:
        status: HTTP status code.
        code: stable, machine-readable reason (OpenAI's ``error.code``).
        type: OpenAI's ``error.type``.
        param: the offending field of the request, if one can be named.
        headers: response headers, for example ``Retry-After`` in seconds.
    """

    status = 500
    code = "internal_error"
    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or type(self).code
        self.headers: dict[str, str] = {}
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after_s)))

    def envelope(self) -> dict[str, Any]:
        """OpenAI's error body: ``{"error": {"message", "type", "param", "code"}}``."""
        return envelope(self.message, type_=self.type, param=self.param, code=self.code)


class InvalidRequest(ApiError):
    status, code, type = 400, "invalid_value", INVALID_REQUEST


class BodyTooLarge(ApiError):
    status, code, type = 413, "request_too_large", INVALID_REQUEST


class InvalidApiKey(ApiError):
    status, code, type = 401, "invalid_api_key", INVALID_REQUEST

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers["WWW-Authenticate"] = "Bearer"


class PermissionDenied(ApiError):
    status, code, type = 403, "permission_denied", "permission_error"


class TenantDisabled(PermissionDenied):
    code = "tenant_disabled"

    def __init__(self) -> None:
        super().__init__("This account is disabled. Ask the operator of this service.")


class TooManyRequests(ApiError):
    """A rate or a number of things at once is used up: later it is not.

    ``type`` says what was limited, as OpenAI's does: ``requests`` or ``tokens``.
    """

    status, code, type = 429, "rate_limit_exceeded", "requests"


class QuotaExceeded(ApiError):
    """A budget is spent: asking again before it begins anew will not help."""

    status, code, type = 429, "insufficient_quota", "insufficient_quota"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers["x-should-retry"] = "false"


class ModelNotFound(ApiError):
    """Unknown and forbidden models look the same, byte for byte."""

    status, code, type = 404, "model_not_found", INVALID_REQUEST

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model `{model}` does not exist or you do not have access to it.", param="model"
        )


class NoAdapterConfigured(ApiError):
    status, code, type = 404, "no_adapter_configured", INVALID_REQUEST

    def __init__(self) -> None:
        super().__init__(
            "No model was named, and this tenant has neither a default adapter nor the base model."
        )


class NotSupported(ApiError):
    status, code, type = 501, "not_supported", INVALID_REQUEST


class AdapterRefused(ApiError):
    """The adapter itself is bad: asking again will not help."""

    status, code, type = 422, "adapter_refused", INVALID_REQUEST

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.headers["x-should-retry"] = "false"


class AdapterNotFound(ApiError):
    """Unknown adapters and those that are not the caller's look the same, byte for byte."""

    status, code, type = 404, "adapter_not_found", INVALID_REQUEST

    def __init__(self, name: str, *, code: str | None = None, param: str = "lora_name") -> None:
        super().__init__(
            f"The adapter `{name}` does not exist or you do not have access to it.",
            param=param,
            code=code,
        )


class NotFound(ApiError):
    """There is nothing of that name."""

    status, code, type = 404, "not_found", INVALID_REQUEST


class Conflict(ApiError):
    """What is asked for does not go together with what there is: asking again will not help."""

    status, code, type = 409, "conflict", INVALID_REQUEST

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, code=code)
        self.headers["x-should-retry"] = "false"


class AdapterConflict(Conflict):
    """So of an adapter."""


class RegistryUnavailable(ApiError):
    """Control or its database cannot be reached: what is live goes on, nothing can be changed."""

    status, code, type = 503, "registry_unavailable", "server_error"

    def __init__(
        self, message: str = "The adapter registry cannot be reached or written now; try again."
    ) -> None:
        super().__init__(message, retry_after_s=2)


class AdapterRemoved(ApiError):
    """The adapter was removed while the request was on its way."""

    status, code, type = 410, "adapter_removed", INVALID_REQUEST


class SourceNotAllowed(AdapterRefused):
    """The source is not one that adapters may come from."""

    code = "source_not_allowed"


class SourceNotFound(AdapterRefused):
    """There is no adapter where the source points to."""

    code = "source_not_found"


class AdapterTooLarge(AdapterRefused):
    """Larger than this application takes."""

    code = "adapter_too_large"


class SourceUnavailable(ApiError):
    """The source did not answer, or broke off. Asking again may help."""

    status, code, type = 503, "source_unavailable", "server_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_s=30)


class StorageFailed(ApiError):
    """The disk that keeps adapters would not take this one. The operator must act."""

    status, code, type = 503, "storage_failed", "server_error"


class Overloaded(ApiError):
    status, code, type = 503, "overloaded", "server_error"


class AdapterLoading(Overloaded):
    code = "adapter_loading"


class ReplicaLost(ApiError):
    """The replica or its engine died with this request on it."""

    status, code, type = 503, "replica_lost", "server_error"


class ClientTooSlow(ApiError):
    """The client reads so slowly that the gateway would have to keep too much for it."""

    status, code, type = 408, "client_too_slow", INVALID_REQUEST


class DeadlineExceeded(ApiError):
    status, code, type = 504, "timeout", "server_error"


def envelope(message: str, *, type_: str, param: str | None, code: str) -> dict[str, Any]:
    """The error body of OpenAI's API."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


class Refused(ApiError):
    """An error decided elsewhere (by vLLM, in a replica) and carried to the client as it is."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error["message"]), param=error["param"], code=str(error["code"]))
        self.status = status
        self.type = str(error["type"])
