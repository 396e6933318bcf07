"""What people think of answers."""

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from serve_app.errors import InvalidRequest
from serve_app.experiments.commands import GiveFeedback
from serve_app.gateway.routes.bodies import Body, Name, Text
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.tenancy.keys import Scope

router = APIRouter(
    tags=["experiments"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.INFERENCE)],
)
MAX_LABELS = 16


class FeedbackBody(Body):
    """A score of one answer, or the one that was liked more of two."""

    model_config = ConfigDict(json_schema_extra={"example": {"request_id": "r-1", "score": 1.0}})

    request_id: Name
    score: float | None = Field(default=None, ge=-1, le=1, allow_inf_nan=False)
    preferred_over: Name | None = None
    labels: dict[Text, Text] = Field(default_factory=dict, max_length=MAX_LABELS)


@router.post("/v1/feedback")
async def give_feedback(body: FeedbackBody, caller: TheCaller) -> Response:
    """Say what an answer was worth: a score from -1 to 1; or another request that it was preferred
    over, whose answer then has 0 and this one 1. Said again, it takes the place of what was said.
    """
    if (body.score is None) == (body.preferred_over is None):
        raise InvalidRequest("score: give either it or preferred_over.", param="score")
    score = 1.0 if body.score is None else body.score
    return await caller.does(
        GiveFeedback(caller.actor, body.request_id, score, body.preferred_over, body.labels)
    )
