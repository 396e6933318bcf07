"""Experiments while they run: create, change, results, promote.

Each route turns HTTP into a command for control and control's answer into HTTP.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from serve_app.experiments.commands import (
    Create,
    Delete,
    Goal,
    ListAnswers,
    ListExperiments,
    ListFeedback,
    Pause,
    Promote,
    Ramp,
    Reweigh,
    ShowExperiment,
    ShowResults,
    Start,
    Stop,
)
from serve_app.experiments.experiment import MAX_ARMS, Arm
from serve_app.gateway.routes.bodies import Body, LongText, Name
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.gateway.routes.queries import After, AfterNumber, AskedName, Page
from serve_app.tenancy.keys import Scope

router = APIRouter(
    prefix="/v1/experiments",
    tags=["experiments"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.INFERENCE, Scope.ADAPTERS_MANAGE)],
)
MANAGING = [needs(Scope.ADAPTERS_MANAGE)]
MOST = 1e6
ExperimentName = Annotated[str, Path(description="The experiment's name.", max_length=200)]
Weight = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
AGoal = Annotated[Goal, Field(strict=False)]


class ArmBody(Body):
    """What is compared: a name in results, and what answers. A shadow answers nobody and gets
    copies of so large a part of all requests; its weight must be 0."""

    name: Name
    model: Name
    weight: Weight | None = None
    shadow: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)

    @property
    def arm(self) -> Arm:
        """As it is asked for: an arm that is no shadow has the weight 1 unless it says another."""
        usual = 0.0 if self.shadow else 1.0
        return Arm(
            self.name, self.model, usual if self.weight is None else self.weight, self.shadow
        )


class ExperimentBody(Body):
    """A new experiment; the first arm is what the others are compared with."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "finance-tone",
                "arms": [
                    {"name": "now", "model": "acme-finance-lora@v1"},
                    {"name": "next", "model": "acme-finance-lora"},
                ],
                "start": True,
            }
        },
    )

    name: Name
    arms: list[ArmBody] = Field(min_length=2, max_length=MAX_ARMS)
    goal: AGoal = Goal.SCORE
    min_effect: Weight = 0.0
    description: LongText = ""
    owner: Name | None = None
    start: bool = False


class WeightsBody(Body):
    """Other weights, by arm; arms that are not named keep theirs."""

    model_config = ConfigDict(json_schema_extra={"example": {"weights": {"next": 2.0}}})

    weights: dict[Name, Weight] = Field(min_length=1, max_length=MAX_ARMS)


class RampBody(Body):
    """The share of all units that an arm is to have: 0 up to, not including, 1."""

    model_config = ConfigDict(json_schema_extra={"example": {"arm": "next", "share": 0.2}})

    arm: Name
    share: float = Field(ge=0, lt=1, allow_inf_nan=False)


class StopBody(Body):
    """Which arm answers from now on; the first, if none is named."""

    winner: Name | None = None


class PromoteBody(Body):
    """Which arm wins (that which is found better, if none is named), and which alias is to mean its
    version from now on."""

    model_config = ConfigDict(json_schema_extra={"example": {"alias": "finance-live"}})

    arm: Name | None = None
    alias: Name | None = None


@router.post("", dependencies=MANAGING, status_code=201)
async def create(body: ExperimentBody, caller: TheCaller) -> Response:
    """Make an experiment: its name is a model's name from here on. Arms mean the versions that
    their models mean now."""
    return await caller.does(
        Create(
            caller.actor,
            body.name,
            tuple(one.arm for one in body.arms),
            goal=body.goal,
            min_effect=body.min_effect,
            description=body.description,
            owner=body.owner,
            start=body.start,
        )
    )


@router.get("")
async def list_experiments(
    caller: TheCaller,
    limit: Page = 100,
    after: After = None,
) -> Response:
    """The caller's experiments by name."""
    return await caller.does(ListExperiments(caller.actor, limit, after))


@router.get("/{experiment}")
async def show(experiment: ExperimentName, caller: TheCaller) -> Response:
    """One experiment."""
    return await caller.does(ShowExperiment(caller.actor, experiment))


@router.patch("/{experiment}", dependencies=MANAGING)
async def reweigh(experiment: ExperimentName, body: WeightsBody, caller: TheCaller) -> Response:
    """Change weights; as few units move as can be."""
    return await caller.does(Reweigh(caller.actor, experiment, body.weights))


@router.post("/{experiment}/start", dependencies=MANAGING)
async def start(experiment: ExperimentName, caller: TheCaller) -> Response:
    """Share units out among arms from now on."""
    return await caller.does(Start(caller.actor, experiment))


@router.post("/{experiment}/pause", dependencies=MANAGING)
async def pause(experiment: ExperimentName, caller: TheCaller) -> Response:
    """Let the first arm answer everybody until it is started again; units then have the arms they
    had."""
    return await caller.does(Pause(caller.actor, experiment))


@router.post("/{experiment}/ramp", dependencies=MANAGING)
async def ramp(experiment: ExperimentName, body: RampBody, caller: TheCaller) -> Response:
    """Give one arm a share of all units; they move into it, or out of it, alone."""
    return await caller.does(Ramp(caller.actor, experiment, body.arm, body.share))


@router.post("/{experiment}/stop", dependencies=MANAGING)
async def stop(
    experiment: ExperimentName, caller: TheCaller, body: StopBody | None = None
) -> Response:
    """End it: the winner, or the first arm, answers everybody from now on."""
    return await caller.does(Stop(caller.actor, experiment, body.winner if body else None))


@router.post("/{experiment}/promote", dependencies=MANAGING)
async def promote(
    experiment: ExperimentName, caller: TheCaller, body: PromoteBody | None = None
) -> Response:
    """End it with a winner, and let an alias mean the winner's version."""
    body = body or PromoteBody()
    return await caller.does(Promote(caller.actor, experiment, body.arm, body.alias))


@router.get("/{experiment}/results")
async def results(experiment: ExperimentName, caller: TheCaller) -> Response:
    """What it shows so far, and how sure that is; one may look whenever one likes."""
    return await caller.does(ShowResults(caller.actor, experiment))


@router.get("/{experiment}/answers", dependencies=MANAGING)
async def answers(
    experiment: ExperimentName,
    caller: TheCaller,
    arm: AskedName = None,
    limit: Page = 100,
    after: AfterNumber = None,
) -> Response:
    """What shadow arms answered to copies of requests, the newest first."""
    return await caller.does(ListAnswers(caller.actor, experiment, arm, limit, after))


@router.get("/{experiment}/feedback", dependencies=MANAGING)
async def feedback(
    experiment: ExperimentName,
    caller: TheCaller,
    arm: AskedName = None,
    limit: Page = 100,
    after: AfterNumber = None,
) -> Response:
    """What was thought of answers that count, with its labels, the newest first."""
    return await caller.does(ListFeedback(caller.actor, experiment, arm, limit, after))


@router.delete("/{experiment}", dependencies=MANAGING)
async def delete(experiment: ExperimentName, caller: TheCaller) -> Response:
    """Take an experiment away, with all that was observed."""
    return await caller.does(Delete(caller.actor, experiment))
