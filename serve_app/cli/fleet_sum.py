"""The pages of several gateways as one: each knows of its own requests only. Pure."""

from collections.abc import Iterable, Sequence

from serve_app.gateway.fleet_schema import AdapterState, FleetPage, PlacementRecord

REMEMBERED_S = 60.0
"""A gateway that has not been met for so long may be gone."""


class Pages:
    """The last page of every gateway that was met of late; which one answers is chance."""

    def __init__(self) -> None:
        self._last: dict[str, FleetPage] = {}

    def with_(self, page: FleetPage) -> FleetPage:
        """What they say together, now that ``page`` has come."""
        self._last[page.gateway] = page
        self._last = {
            one.gateway: one for one in self._last.values() if page.at - one.at < REMEMBERED_S
        }
        others = [one for one in self._last.values() if one is not page]
        return together(page, others) if others else page


def together(page: FleetPage, others: Sequence[FleetPage]) -> FleetPage:
    """``page``, with the placements of ``others`` among its own; asked for last comes first."""
    states: dict[str, AdapterState] = {}
    for state in (state for one in (page, *others) for state in one.adapters):
        known = states.get(state.adapter)
        states[state.adapter] = state if known is None else _both(known, state.placements)
    return page.model_copy(
        update={
            "gateway": ", ".join(sorted({page.gateway, *(one.gateway for one in others)})),
            "adapters": sorted(states.values(), key=_asked_at, reverse=True),
        }
    )


def _both(state: AdapterState, further: Iterable[PlacementRecord]) -> AdapterState:
    both = sorted((*state.placements, *further), key=lambda one: one.at, reverse=True)
    return state.model_copy(update={"placements": both})


def _asked_at(state: AdapterState) -> float:
    return state.placements[0].at if state.placements else 0.0
