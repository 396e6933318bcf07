"""What queries are made of: pages of lists, and names that are asked for."""

from typing import Annotated

from fastapi import Query

from serve_app.gateway.routes.bodies import STORABLE

MAX_PAGE = 1000
_BEFORE = "The last id of the page before."

AskedName = Annotated[str | None, Query(max_length=200, pattern=STORABLE)]
Page = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Records on the page at most.")]
After = Annotated[str | None, Query(max_length=255, description=_BEFORE)]
AfterNumber = Annotated[int | None, Query(ge=0, le=2**53, description=_BEFORE)]
"""Where ids are numbers, and the newest come first."""
