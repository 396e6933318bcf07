"""Adapters, versions and deeds as JSON objects, for those who may see them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.adapters.commands import Actor
from serve_app.control.adapter import Adapter, Kept, State
from serve_app.control.fleet import Fleet, Residence
from serve_app.control.permissions import may_see_all
from serve_app.control.registration import Registration, Step, shown_source

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt has come that is still under way."""

    step: Step = Step.REGISTERED
    bytes: int = 0


def record(
    actor: Actor,
    adapter: Adapter,
    registration: Registration | None,
    progress: Progress | None,
    fleet: Fleet,
) -> Json:
    """One adapter. Paths, failures and grants are for its owner and admins."""
    whole = may_see_all(actor, adapter)
    kept = adapter.versions.get(adapter.current or 0)
    version = kept.version if kept else None
    return {
        "id": adapter.name,
        "object": "lora",
        "path": kept.source if kept and whole else None,
        "version": version.number if version else None,
        "digest": version.digest if version else None,
        "state": _state(adapter, registration, progress),
        "owner": adapter.owner,
        "grants": sorted(adapter.grants) if whole else [],
        "description": adapter.description,
        "labels": dict(adapter.labels),
        "aliases": dict(sorted(adapter.aliases.items())),
        "preload": adapter.preload,
        "pin": adapter.pin,
        "declared": adapter.declared,
        "rank": version.rank if version else None,
        "size_bytes": version.size_bytes if version else None,
        "created": adapter.created,
        "updated": adapter.updated,
        "replicas": _replicas(adapter, fleet, whole),
        "registration": _attempt(registration, progress) if registration and whole else None,
    }


def _state(adapter: Adapter, registration: Registration | None, progress: Progress | None) -> str:
    if adapter.current is not None:
        return State.LIVE.value
    if registration is not None and registration.open:
        return (progress or Progress()).step.value
    if adapter.removed is None:
        return Step.FAILED.value
    return (State.RETIRING if adapter.numbers(State.RETIRING) else State.GONE).value


def _replicas(adapter: Adapter, fleet: Fleet, whole: bool) -> list[Json]:
    """Where its versions are. How busy they are is not everybody's to know."""
    return [
        _replica(residence, kept.version.number, whole)
        for _, kept in sorted(adapter.versions.items(), reverse=True)
        for residence in fleet.holders(kept.version.name)
    ]


def _replica(residence: Residence, number: int, whole: bool) -> Json:
    held = residence.held
    return {
        "replica": residence.replica,
        "version": number,
        "state": held.state.value,
        "leases": held.leases if whole else None,
        "load_s": held.load_s,
        "reason": held.reason if whole else None,
    }


def _attempt(registration: Registration, progress: Progress | None) -> Json:
    under_way = progress if registration.open else None
    error = {"code": registration.code, "message": registration.message}
    return {
        "state": (under_way.step if under_way else registration.step).value,
        "source": shown_source(registration.command.source),
        "bytes": under_way.bytes if under_way else None,
        "error": error if registration.step is Step.FAILED else None,
        "at": registration.ended or registration.created,
    }


def version_record(actor: Actor, adapter: Adapter, kept: Kept, fleet: Fleet) -> Json:
    """One version of an adapter."""
    version, whole = kept.version, may_see_all(actor, adapter)
    return {
        "id": version.name,
        "object": "lora.version",
        "adapter": adapter.name,
        "version": version.number,
        "digest": version.digest,
        "state": kept.state.value,
        "current": version.number == adapter.current,
        "aliases": sorted(a for a, number in adapter.aliases.items() if number == version.number),
        "path": kept.source if whole else None,
        "rank": version.rank,
        "size_bytes": version.size_bytes,
        "created": kept.created,
        "created_by": kept.created_by if whole else None,
        "replicas": [
            _replica(residence, version.number, whole) for residence in fleet.holders(version.name)
        ],
    }


def deed_record(row: Mapping[str, Any]) -> Json:
    """One line of the audit log."""
    told = ("at", "actor", "action", "subject", "detail")
    return {"id": row["id"], "object": "lora.audit", **{key: row[key] for key in told}}


def page(records: Iterable[Json], limit: int) -> Json:
    """At most ``limit`` records in OpenAI's paging shape."""
    found: list[Json] = []
    more = False
    for one in records:
        if len(found) == limit:
            more = True
            break
        found.append(one)
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": more,
    }
