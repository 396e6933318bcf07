"""Rows of the registry's tables to and from what they mean. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from serve_app.adapters.version import Version
from serve_app.control.account import Account, Issued
from serve_app.control.adapter import Adapter, Kept, State
from serve_app.control.book import Deed
from serve_app.control.registration import Registration, Step, command_of, to_json
from serve_app.control.study import Study
from serve_app.experiments.commands import Goal
from serve_app.experiments.experiment import Arm, Experiment
from serve_app.experiments.experiment import State as Progress
from serve_app.tenancy.keys import Scope
from serve_app.tenancy.limits import Limits

Row = Mapping[str, Any]

_COLUMNS = (
    *("name", "owner", "description", "preload", "pin", "declared", "stamp", "terms"),
    *("current", "previous", "last_number", "former", "created", "updated", "removed"),
)

_ACCOUNT = (
    *("id", "description", "default_adapter", "base", "enabled", "weight"),
    *("created", "updated"),
)
_ISSUED = (
    *("id", "tenant", "label", "expires", "created", "created_by", "revoked"),
    *("rotated_from", "last_used"),
)

_EXPERIMENT = ("name", "salt", "owner", "winner", "epoch")
_STUDY = ("description", "min_effect", "created", "updated", "started", "ended")


def adapter_row(adapter: Adapter) -> dict[str, Any]:
    row = {column: getattr(adapter, column) for column in _COLUMNS}
    return {**row, "labels": dict(adapter.labels)}


def version_row(kept: Kept) -> dict[str, Any]:
    version = kept.version
    return {
        "adapter": version.adapter,
        "number": version.number,
        "digest": version.digest,
        "rank": version.rank,
        "size_bytes": version.size_bytes,
        "source": kept.source,
        "state": kept.state.value,
        "created": kept.created,
        "created_by": kept.created_by,
        "retired": kept.retired,
        "gone": kept.gone,
    }


def registration_row(registration: Registration) -> dict[str, Any]:
    return {
        "id": registration.id,
        "adapter": registration.adapter,
        "request": to_json(registration),
        "state": registration.step.value,
        "code": registration.code,
        "message": registration.message,
        "number": registration.number,
        "created": registration.created,
        "ended": registration.ended,
    }


def account_row(account: Account) -> dict[str, Any]:
    row = {field: getattr(account, field) for field in _ACCOUNT}
    return {**row, "adapters": sorted(account.adapters), "limits": account.limits.as_dict()}


def account_of(row: Row) -> Account:
    given = {field: row[field] for field in _ACCOUNT}
    return Account(**given, adapters=frozenset(row["adapters"]), limits=Limits(**row["limits"]))


def issued_row(issued: Issued) -> dict[str, Any]:
    row = {field: getattr(issued, field) for field in _ISSUED}
    return {
        **row,
        "fingerprint": issued.fingerprint.hex(),
        "scopes": sorted(issued.scopes),
        "limits": issued.limits.as_dict(),
    }


def issued_of(row: Row) -> Issued:
    given = {field: row[field] for field in _ISSUED}
    return Issued(
        **given,
        fingerprint=bytes.fromhex(row["fingerprint"]),
        scopes=frozenset(map(Scope, row["scopes"])),
        limits=Limits(**row["limits"]),
    )


def study_row(study: Study) -> dict[str, Any]:
    experiment = study.experiment
    return {
        **{field: getattr(experiment, field) for field in _EXPERIMENT},
        **{field: getattr(study, field) for field in _STUDY},
        "arms": [asdict(arm) for arm in experiment.arms],
        "state": experiment.state.value,
        "goal": study.goal.value,
        "periods": [list(weights) for weights in study.periods],
    }


def study_of(row: Row) -> Study:
    experiment = Experiment(
        **{field: row[field] for field in _EXPERIMENT},
        arms=tuple(Arm(**arm) for arm in row["arms"]),
        state=Progress(row["state"]),
    )
    return Study(
        experiment,
        **{field: row[field] for field in _STUDY},
        goal=Goal(row["goal"]),
        periods=tuple(tuple(weights) for weights in row["periods"]),
    )


def deed_row(deed: Deed) -> dict[str, Any]:
    return {
        "at": deed.at,
        "actor": deed.actor,
        "action": deed.action,
        "subject": deed.subject,
        "owner": deed.owner,
        "detail": deed.detail,
    }


def adapters_of(
    adapters: Iterable[Row], versions: Iterable[Row], grants: Iterable[Row], aliases: Iterable[Row]
) -> list[Adapter]:
    """Adapters put together from the rows of four tables."""
    kept: dict[str, dict[int, Kept]] = {}
    for row in versions:
        kept.setdefault(row["adapter"], {})[row["number"]] = _kept(row)
    granted: dict[str, set[str]] = {}
    for row in grants:
        granted.setdefault(row["adapter"], set()).add(row["tenant"])
    named: dict[str, dict[str, int]] = {}
    for row in aliases:
        named.setdefault(row["adapter"], {})[row["alias"]] = row["number"]
    return [
        Adapter(
            **{column: row[column] for column in _COLUMNS},
            labels=row["labels"],
            versions=kept.get(row["name"], {}),
            grants=frozenset(granted.get(row["name"], ())),
            aliases=named.get(row["name"], {}),
        )
        for row in adapters
    ]


def _kept(row: Row) -> Kept:
    return Kept(
        Version(row["adapter"], row["number"], row["digest"], row["rank"], row["size_bytes"]),
        row["source"],
        State(row["state"]),
        row["created"],
        row["created_by"],
        row["retired"],
        row["gone"],
    )


def registration_of(row: Row) -> Registration:
    command, declared = command_of(row["request"])
    return Registration(
        row["id"],
        command,
        Step(row["state"]),
        row["created"],
        declared,
        row["ended"],
        row["code"],
        row["message"],
        row["number"],
    )
