"""What one request may ask for: the application's caps, narrowed by its tenant's and its key's."""

from dataclasses import fields

from serve_app.settings import GatewaySettings
from serve_app.tenancy.limits import Limits

CAPS = tuple(field.name for field in fields(Limits) if field.name.startswith("max_"))


def narrowed(settings: GatewaySettings, *limits: Limits) -> GatewaySettings:
    """The settings with the least of each cap."""
    least = {
        cap: min(filter(_is_set, [getattr(one, cap) for one in (settings, *limits)]))
        for cap in CAPS
    }
    return settings.model_copy(update=least)


def _is_set(cap: int | None) -> bool:
    return cap is not None
