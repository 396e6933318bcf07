"""Ray Serve's seam: the autoscaling policy that a config names for the engine deployment.

Ray pickles this module by value and runs it in its controller, ten times a second: it keeps no
state, and imports nothing that is slow to import.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

from serve_app.routing.scaling import KINDS, Bounds, Load, Targets, wish

LOGGER = logging.getLogger("ray.serve")
_SILENT_AFTER_INTERVALS = 3


class Point(Protocol):
    """What a replica told, and when by its own clock."""

    @property
    def timestamp(self) -> float: ...
    @property
    def value(self) -> float: ...


class Config(Protocol):
    @property
    def metrics_interval_s(self) -> float: ...


class Context(Protocol):
    """What is needed of Serve's ``AutoscalingContext``."""

    running_replicas: Sequence[Hashable]
    target_num_replicas: int
    capacity_adjusted_min_replicas: int
    capacity_adjusted_max_replicas: int
    current_time: float
    policy_state: dict[str, Any]
    config: Config

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Point]]]: ...


class LoadPolicy:
    """Replicas by what they have to do: ``routing.scaling`` decides, Serve waits and bounds.

    What is good to know of Serve 2.60:

    - Its delays, factors and bounds are applied to what this returns. ``upscale_delay_s`` begins
      anew whenever the wish falls back to what there is.
    - A replica tells every ``metrics_interval_s`` (10 s), the last ``look_back_period_s`` at once.
      The setting is called deprecated, but no replica reads the variable named in its stead.
    - What a replica told is kept until it stops, however old it is: here it is silent when it is
      three intervals old. Clocks of nodes that differ by more only ever keep replicas.
    - It counts each gateway's bus to a replica as a request of it, so its own policy never sees an
      idle one.
    - Of the replicas of one node the newest leaves first.
    - The last replica stays, whatever ``min_replicas`` says: gateways refuse what nobody can
      answer, so Serve would see no request that brings one back.
    - A new policy, or new ``policy_kwargs``, restarts every replica of the application.

    Args:
        targets: those that are not to be the usual ones (``policy_kwargs`` in the config).

    Raises:
        ConfigError: there is no such target, or it cannot have that value.
    """

    def __init__(self, **targets: float) -> None:
        self._targets = Targets.parse(targets)

    def __call__(self, context: Context) -> tuple[int, dict[str, Any]]:
        """How many replicas are wanted, and what to remember."""
        loads = _told(context)
        least = max(1, context.capacity_adjusted_min_replicas)
        bounds = Bounds(least, context.capacity_adjusted_max_replicas)
        silent = len(context.running_replicas) - len(loads)
        present = context.target_num_replicas
        wanted = wish(loads, silent, present, bounds, self._targets)
        if wanted.replicas not in (present, context.policy_state.get("wanted")):
            LOGGER.info("of %d, load wants %s; %d told nothing", present, wanted, silent)
        return wanted.replicas, {"wanted": wanted.replicas}


def _told(context: Context) -> list[Load]:
    """The mean load of each running replica that has told of late."""
    metrics = context.raw_metrics
    since = context.current_time - _SILENT_AFTER_INTERVALS * context.config.metrics_interval_s
    told = []
    for replica in context.running_replicas:
        series = [metrics.get(kind, {}).get(replica, ()) for kind in KINDS]
        if all(points and points[-1].timestamp >= since for points in series):
            means = (fmean(point.value for point in points) for points in series)
            told.append(Load(**dict(zip(KINDS, means, strict=True))))
    return told
