"""What a tenant may name. Answered from the snapshot; no engine is asked."""

from typing import Any

from fastapi import APIRouter

from serve_app.experiments.assignment import Assignment
from serve_app.experiments.experiment import Experiment
from serve_app.gateway.routes.dependencies import TheGateway, TheIdentity, documented_auth, needs
from serve_app.tenancy.keys import Scope
from serve_app.tenancy.snapshot import Snapshot, Target

router = APIRouter(
    prefix="/v1/models", tags=["models"], dependencies=[documented_auth, needs(Scope.INFERENCE)]
)


@router.get("")
async def list_models(gateway: TheGateway, identity: TheIdentity) -> dict[str, Any]:
    """The base if granted, every adapter the caller may use, and its experiments."""
    snapshot, tenant = gateway.known, identity.tenant
    cards = [_card(snapshot, target) for target in snapshot.visible_to(tenant)]
    cards += [_trial_card(snapshot, one) for one in gateway.registry.trials.visible_to(tenant)]
    return {"object": "list", "data": cards}


@router.get("/{model:path}")
async def retrieve_model(model: str, gateway: TheGateway, identity: TheIdentity) -> dict[str, Any]:
    """One model, under any of its spellings."""
    found = await gateway.find(identity.tenant, model)
    if isinstance(found, Assignment):
        return _trial_card(gateway.known, found.experiment)
    return _card(gateway.known, found)


def _trial_card(snapshot: Snapshot, experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.name,
        "object": "model",
        "created": 0,
        "owned_by": "serve_app",
        "root": experiment.control.model,
        "parent": snapshot.base,
    }


def _card(snapshot: Snapshot, target: Target) -> dict[str, Any]:
    return {
        "id": target.model,
        "object": "model",
        "created": target.created,
        "owned_by": "serve_app",
        "root": target.version.name if target.version else snapshot.base,
        "parent": snapshot.base if target.version else None,
    }
