"""What requests have used, summed by the hour, by the day or in all: as JSON or as CSV."""

import csv
import io
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response

from serve_app.errors import InvalidRequest
from serve_app.gateway.routes.dependencies import Caller, TheCaller, documented_auth, needs
from serve_app.gateway.routes.queries import AskedName
from serve_app.tenancy.keys import Scope
from serve_app.tenancy.usage import By, Interval, ShowUsage

router = APIRouter(tags=["usage"], dependencies=[documented_auth])

DEFAULT_S = 30 * 86_400
MAX_PAGE = 10_000
LAST = 253_402_300_800
"""The year 10000, in unix seconds."""
_ROW = {
    "object": "usage",
    "start": 1_795_564_800,
    "end": 1_795_651_200,
    "adapter": "acme-finance-lora",
    "requests": 1200,
    "prompt_tokens": 48_000,
    "cached_tokens": 12_000,
    "completion_tokens": 96_000,
    "time_to_first_token_s": 0.21,
    "duration_s": 1.9,
}
_EXAMPLES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {"example": {"object": "list", "data": [_ROW], "has_more": False}},
            "text/csv": {"example": f"{','.join(_ROW)}\n{','.join(map(str, _ROW.values()))}\n"},
        }
    }
}


class Form(StrEnum):
    JSON = "json"
    CSV = "csv"


class Asked:
    """What a page of usage is asked for."""

    def __init__(
        self,
        caller: TheCaller,
        start: Annotated[
            str | None,
            Query(alias="from", max_length=40, description="Unix seconds, or an ISO date or time."),
        ] = None,
        end: Annotated[
            str | None, Query(alias="to", max_length=40, description="Likewise; it is excluded.")
        ] = None,
        adapter: AskedName = None,
        key: Annotated[AskedName, Query(description="A key's public id.")] = None,
        interval: Interval = Interval.DAY,
        group_by: Annotated[list[By] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1000,
        offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
        format: Form = Form.JSON,  # noqa: A002 - as in the URL
    ) -> None:
        now = int(time.time())
        self.caller = caller
        self.format = format
        self._rest: dict[str, Any] = {
            "start": _instant("from", start, now - DEFAULT_S),
            "end": _instant("to", end, now + 1),
            "adapter": adapter,
            "key": key,
            "interval": interval,
            "limit": limit,
            "offset": offset,
        }
        self._by = None if group_by is None else tuple(dict.fromkeys(group_by))

    def question(self, tenant: str | None, by: tuple[By, ...]) -> ShowUsage:
        """For control; ``by`` unless something else is asked for."""
        by = by if self._by is None else self._by
        return ShowUsage(self.caller.actor, tenant, by=by, **self._rest)


TheAsked = Annotated[Asked, Depends()]


@router.get("/v1/usage", dependencies=[needs(Scope.USAGE_READ)], responses=_EXAMPLES)
async def own_usage(asked: TheAsked) -> Response:
    """What the caller's tenant has used."""
    tenant = asked.caller.actor.tenant
    return await _told(asked.caller, asked.question(tenant, (By.ADAPTER,)), asked.format)


@router.get("/admin/v1/usage", dependencies=[needs(Scope.ADMIN)], responses=_EXAMPLES)
async def all_usage(asked: TheAsked, tenant: AskedName = None) -> Response:
    """What one tenant, or every tenant, has used."""
    return await _told(asked.caller, asked.question(tenant, (By.TENANT,)), asked.format)


async def _told(caller: Caller, question: ShowUsage, form: Form) -> Response:
    response = await caller.does(question)
    if form is Form.JSON or response.status_code != 200:
        return response
    return Response(_as_csv(orjson.loads(response.body)["data"]), media_type="text/csv")


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """A line a row, under a line of names. Names of ours begin with a letter or a digit, so none
    is a formula to a spreadsheet."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _instant(param: str, given: str | None, default: int) -> int:
    """Unix seconds of what a client gave.

    Raises:
        InvalidRequest: it is no time.
    """
    if given is None:
        return default
    try:
        if given.isascii() and given.isdigit():
            at = int(given)
        else:
            moment = datetime.fromisoformat(given)
            at = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at < LAST:
        raise InvalidRequest(
            f"{param}: give unix seconds, or an ISO date such as 2026-01-31.", param=param
        )
    return at
