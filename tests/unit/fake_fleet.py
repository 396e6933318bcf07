"""Pages of a made-up fleet: the API's own example, and what is changed of it."""

from typing import Any

from serve_app.gateway.fleet_schema import FleetPage

EXAMPLE: dict[str, Any] = FleetPage.model_json_schema()["example"]
FINANCE = "acme-finance-lora@5533a83906f4"
_REPLICA: dict[str, Any] = EXAMPLE["replicas"][0]
_ADAPTER: dict[str, Any] = EXAMPLE["adapters"][0]
_PLACEMENT: dict[str, Any] = _ADAPTER["placements"][0]


def a_page(**changes: Any) -> FleetPage:
    return FleetPage.model_validate(EXAMPLE | changes)


def a_replica(**changes: Any) -> dict[str, Any]:
    return _REPLICA | changes


def a_placement(**changes: Any) -> dict[str, Any]:
    return _PLACEMENT | changes


def an_adapter(name: str = FINANCE, **changes: Any) -> dict[str, Any]:
    return _ADAPTER | {"adapter": name} | changes
