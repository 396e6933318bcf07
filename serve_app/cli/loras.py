"""Adapters as tables and records, and how far a registration has come."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from openai import OpenAIError
from rich.console import Console
from rich.status import Status

from serve_app.cli import admin
from serve_app.cli.admin import Json
from serve_app.client import Lora, LoraClient, LoraVersion

EVERY_S = 1.0
DIGITS = 12
_COLUMNS = {
    "id": "adapter",
    "version": "version",
    "state": "state",
    "digest": "digest",
    "owner": "owner",
    "rank": "rank",
    "size": "size",
    "aliases": "aliases",
    "on": "on",
}
_VERSIONS = {
    "version": "version",
    "state": "state",
    "current": "in force",
    "digest": "digest",
    "rank": "rank",
    "size": "size",
    "aliases": "aliases",
    "created": "created",
    "on": "on",
}
_REPLICAS = {
    "replica": "replica",
    "version": "version",
    "state": "state",
    "leases": "leases",
    "load_s": "load, s",
}


def told(record: Lora | LoraVersion) -> Json:
    """What the application told, all of it."""
    return record.model_dump(mode="json")


def page(records: Iterable[Lora] | Iterable[LoraVersion]) -> Json:
    """A whole list."""
    return {"object": "list", "data": [told(one) for one in records]}


def as_table(console: Console, answer: Json) -> None:
    """Shows adapters, a line each."""
    rows = [_row(one) for one in answer["data"]]
    admin.as_table("Adapters", _COLUMNS)(console, {"data": rows})


def as_versions(console: Console, answer: Json) -> None:
    """Shows versions, a line each."""
    rows = [_row(one) for one in answer["data"]]
    admin.as_table("Versions", _VERSIONS)(console, {"data": rows})


def as_record(console: Console, answer: Json) -> None:
    """Shows one adapter, a line a field, and a table of the replicas that hold it."""
    fields = {name: answer[name] for name in answer if name not in ("replicas", "registration")}
    failed = (answer.get("registration") or {}).get("error") or {}
    if failed:
        fields["failed"] = f"{failed.get('message')} [{failed.get('code')}]"
    admin.as_record(console, fields)
    if answer["replicas"]:
        admin.as_table("Replicas", _REPLICAS)(console, {"data": answer["replicas"]})


@contextmanager
def progress(client: LoraClient, name: str) -> Iterator[None]:
    """Says, on a terminal, how far the registration of an adapter has come, until it is left."""
    console, over = Console(stderr=True), threading.Event()
    if not console.is_terminal:
        yield
        return
    with console.status(f"registering {name}") as status:
        watch = threading.Thread(target=_watch, args=(client, name, status, over), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()


def stage(lora: Lora) -> str:
    """How far an adapter has come, in words."""
    attempt = lora.registration
    if attempt is None:
        return lora.state
    return f"{attempt.state}, {size(attempt.bytes)} fetched" if attempt.bytes else attempt.state


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count:,} GB"


def _watch(client: LoraClient, name: str, status: Status, over: threading.Event) -> None:
    """What cannot be told now is no reason to stop."""
    while not over.wait(EVERY_S):
        try:
            status.update(f"registering {name}: {stage(client.lora(name))}")
        except OpenAIError:
            continue


def _row(told: Json) -> Json:
    return told | {
        "digest": told["digest"][:DIGITS] if told["digest"] else None,
        "size": size(told["size_bytes"]),
        "aliases": sorted(told["aliases"]),
        "on": len({one["replica"] for one in told["replicas"]}),
    }
