import pytest

from serve_app import errors
from serve_app.errors import (
    AdapterLoading,
    AdapterRefused,
    ApiError,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    NoAdapterConfigured,
    Overloaded,
    Refused,
    ReplicaLost,
    ServeAppError,
)

CONTRACT: dict[str, tuple[ApiError, int, str]] = {
    "a bad value": (InvalidRequest("x"), 400, "invalid_value"),
    "a bad key": (InvalidApiKey("x"), 401, "invalid_api_key"),
    "a closed door": (errors.PermissionDenied("x"), 403, "permission_denied"),
    "an unknown model": (ModelNotFound("x"), 404, "model_not_found"),
    "no model at all": (NoAdapterConfigured(), 404, "no_adapter_configured"),
    "a bad adapter": (AdapterRefused("x"), 422, "adapter_refused"),
    "too much load": (Overloaded("x"), 503, "overloaded"),
    "no room for an adapter": (AdapterLoading("x"), 503, "adapter_loading"),
    "a lost replica": (ReplicaLost("x"), 503, "replica_lost"),
    "a late answer": (errors.DeadlineExceeded("x"), 504, "timeout"),
    "what the base cannot do": (errors.NotSupported("x"), 501, "not_supported"),
    "anything else": (ApiError("x"), 500, "internal_error"),
}


@pytest.mark.parametrize(("error", "status", "code"), CONTRACT.values(), ids=CONTRACT)
def test_clients_are_told_of(error: ApiError, status: int, code: str) -> None:
    assert error.status == status
    body = error.envelope()["error"]
    assert sorted(body) == ["code", "message", "param", "type"]
    assert body["code"] == code
    assert body["message"]
    assert isinstance(error, ServeAppError)


@pytest.mark.parametrize(("error", "status", "code"), CONTRACT.values(), ids=CONTRACT)
def test_only_the_server_is_blamed_for_its_own_errors(
    error: ApiError, status: int, code: str
) -> None:
    server_side = status >= 500 and status != 501
    assert (error.envelope()["error"]["type"] == "server_error") is server_side


@pytest.mark.parametrize(
    ("retry_after_s", "header"), [(0.0, "1"), (0.2, "1"), (2, "2"), (2.6, "3"), (60.0, "60")]
)
def test_a_client_is_told_in_whole_seconds_when_to_come_back(
    retry_after_s: float, header: str
) -> None:
    assert Overloaded("x", retry_after_s=retry_after_s).headers == {"Retry-After": header}


def test_without_a_time_to_come_back_nothing_is_promised() -> None:
    assert Overloaded("x").headers == {}


def test_headers_of_one_error_are_not_another_s() -> None:
    Overloaded("x").headers["Retry-After"] = "9"
    assert Overloaded("x").headers == {}


def test_asking_again_for_a_refused_adapter_is_discouraged() -> None:
    refused = AdapterRefused("x", code="adapter_rank_too_large")
    assert refused.headers["x-should-retry"] == "false"
    assert refused.code == "adapter_rank_too_large"
    assert AdapterRefused("x").code == "adapter_refused"


def test_an_unauthorised_client_is_told_how_to_authenticate() -> None:
    assert InvalidApiKey("x").headers["WWW-Authenticate"] == "Bearer"


def test_an_error_of_the_engine_is_carried_as_it_is() -> None:
    body = {"message": "m", "type": "t", "param": "p", "code": 400}
    assert Refused(400, body).envelope()["error"] == body | {"code": "400"}
    assert Refused(400, body).status == 400


def test_every_code_belongs_to_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ApiError):
            statuses.setdefault(kind.code, set()).add(kind.status)
    assert not {code: found for code, found in statuses.items() if len(found) > 1}
