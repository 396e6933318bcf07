"""Schemathesis over the OpenAPI document: whatever it makes up, with a tenant's key and with an
admin's, is answered as the document says, and never with a 5xx."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.api_document import Route, document, must_be_envelope, routes
from tests.unit.real_control import ACME_KEY, ADMIN_KEY, RealSite, a_real_site

SCHEMA = schemathesis.openapi.from_dict(document())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
KEYS = {"tenant": ACME_KEY, "admin": ADMIN_KEY}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def site(loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSite]:
    context = a_real_site(tmp_path_factory.mktemp("registry"))
    site = loop.run(context.__aenter__())
    yield site
    loop.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("role", KEYS)
@pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.name)
def test_whatever_is_asked_is_answered_as_the_document_says(
    loop: asyncio.Runner, site: RealSite, route: Route, role: str
) -> None:
    operation: Any = SCHEMA[route.path][route.method]

    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        asked = case.as_transport_kwargs(base_url="http://gateway")
        asked["headers"] = {**asked["headers"], "authorization": f"Bearer {KEYS[role]}"}
        asked.pop("cookies", None)
        if "data" in asked:
            asked["content"] = asked.pop("data")
        answer = loop.run(site.client.request(**asked))
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400 and route.path != "/ready":
            must_be_envelope(answer.json())

    ask()
