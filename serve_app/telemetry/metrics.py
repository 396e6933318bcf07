"""Every metric that replicas and control record.

They go through ``ray.serve.metrics`` and appear as ``ray_serve_app_*`` in Ray's Prometheus
endpoint.
"""

from collections.abc import Mapping

from ray.serve.metrics import Counter, Gauge, Histogram

_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
_FRAMES = [1, 2, 4, 8, 16, 32, 64, 128, 256]


class ReplicaMetrics:
    """Loads, residency and bus batches, as a replica sees them."""

    def __init__(self) -> None:
        self._loads = Counter("serve_app_cold_loads_total", "Adapters loaded.")
        self._load_s = Histogram(
            "serve_app_cold_load_seconds",
            "Seconds each phase of a load took: stage, read, engine.",
            boundaries=_SECONDS,
            tag_keys=("phase",),
        )
        self._failed = Counter("serve_app_failed_loads_total", "Adapters that were refused.")
        self._evictions = Counter(
            "serve_app_evictions_total",
            "Adapters unloaded: for room, retired by a newer version, or removed.",
            ("reason",),
        )
        self._resident = Gauge("serve_app_resident_adapters", "Adapters this replica holds.")
        self._active = Gauge("serve_app_active_adapters", "Adapters that requests are using.")
        self._pinned = Gauge("serve_app_pinned_adapters", "Adapters here that are pinned.")
        self._waiting = Gauge(
            "serve_app_waiting_leases", "Requests that wait for their adapter or for its room."
        )
        self._frames = Histogram(
            "serve_app_bus_frames_per_message",
            "Requests whose output shared one message of the token bus.",
            boundaries=[float(n) for n in _FRAMES],
        )

    def loaded(self, stage_s: float, read_s: float, engine_s: float) -> None:
        self._loads.inc()
        for phase, seconds in (("stage", stage_s), ("read", read_s), ("engine", engine_s)):
            self._load_s.observe(seconds, tags={"phase": phase})

    def load_failed(self) -> None:
        self._failed.inc()

    def evicted(self, reason: str) -> None:
        self._evictions.inc(tags={"reason": reason})

    def holds(self, *, resident: int, active: int, pinned: int, waiting: int) -> None:
        self._resident.set(resident)
        self._active.set(active)
        self._pinned.set(pinned)
        self._waiting.set(waiting)

    def sent(self, frames: int) -> None:
        if frames:
            self._frames.observe(frames)


class ControlMetrics:
    """Registrations and what the registry holds, as control sees them."""

    def __init__(self) -> None:
        self._registrations = Counter(
            "serve_app_registrations_total",
            "Registrations by outcome: live, or the code of the refusal.",
            ("outcome",),
        )
        self._registration_s = Histogram(
            "serve_app_registration_seconds",
            "Seconds from a registration's turn to its end, fetching included.",
            boundaries=[*_SECONDS, 300, 900],
        )
        self._adapters = Gauge("serve_app_adapters", "Adapters that may be named.")
        self._versions = Gauge("serve_app_versions", "Versions by state.", ("state",))
        self._followers = Gauge(
            "serve_app_followers", "Gateways and replicas that follow the registry."
        )
        self._apart = Gauge(
            "serve_app_limits_apart",
            "1 while the Redis that limits are shared over is away, or cannot be used; else 0.",
        )

    def registered(self, outcome: str, seconds: float) -> None:
        """One registration is over."""
        self._registrations.inc(tags={"outcome": outcome})
        self._registration_s.observe(seconds)

    def holds(self, adapters: int, versions: Mapping[str, int], followers: int) -> None:
        """What there is now, versions by state."""
        self._adapters.set(adapters)
        for state, count in versions.items():
            self._versions.set(count, tags={"state": state})
        self._followers.set(followers)

    def apart(self, apart: bool | None) -> None:
        """Whether nothing is heard of other sites; None where this is the only one."""
        if apart is not None:
            self._apart.set(apart)
