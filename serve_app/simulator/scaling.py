"""A simulated fleet whose size follows its load, by production's own decision."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from serve_app.routing.scaling import USUAL, Bounds, Load, Targets, wish
from serve_app.simulator.fleet import DRAIN_S, Policy, Setup, Trail, Twin, simulate
from serve_app.simulator.outcome import Outcome, outcome
from serve_app.simulator.replica import Replica
from serve_app.simulator.request import Arrival


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a fleet follows its load. The defaults are those of Ray Serve and ``configs/prod.yaml``.

    Attributes:
        bounds: how few and how many replicas there may be.
        start_s: seconds from the decision to a replica that takes requests.
        upscale_delay_s: how long more must be wanted before more are started.
        downscale_delay_s: how long fewer must be wanted before one is given up.
        look_back_s: over how long a replica's load is averaged.
        record_s: seconds between two looks of a replica at its load.
        told_s: seconds between two decisions, which is between two reports of a replica.
    """

    bounds: Bounds
    targets: Targets = USUAL
    start_s: float = 60.0
    upscale_delay_s: float = 10.0
    downscale_delay_s: float = 600.0
    look_back_s: float = 30.0
    record_s: float = 6.0
    told_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Scaled:
    """A trail, and what it took.

    Attributes:
        replica_s: seconds of replicas, from their start to the end of their last request, as far
            as requests came.
        sizes: how many replicas took requests from when on, in seconds.
    """

    trail: Trail
    replica_s: float
    sizes: tuple[tuple[float, int], ...]


def simulate_scaled(
    setup: Setup, scaling: Scaling, arrivals: Sequence[Arrival], policy: Policy, seed: int
) -> Scaled:
    """Run ``arrivals`` through a fleet that begins with ``setup.replicas`` and follows its load."""
    twin = Twin(setup, policy, seed)
    scaler = _Scaler(twin, scaling, arrivals[-1].at_s if arrivals else 0.0)
    scaler.begin()
    trail = twin.run(arrivals)
    return Scaled(trail, scaler.replica_s(), tuple(scaler.sizes))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fleet that follows its load, beside one that is always as large as that may become."""

    fixed: Outcome
    scaled: Outcome
    fixed_hours: float
    scaled_hours: float
    sizes: tuple[tuple[float, int], ...]

    def __str__(self) -> str:
        share = self.scaled_hours / self.fixed_hours
        return (
            f"{self.scaled.within:.2%} of requests within the goal with {self.scaled_hours:.2f} "
            f"replica-hours, {self.fixed.within:.2%} with {self.fixed_hours:.2f} ({share:.0%})"
        )


def against_fixed(
    setup: Setup,
    scaling: Scaling,
    arrivals: Sequence[Arrival],
    policy: Policy,
    seed: int,
    warm_up_s: float = 0.0,
) -> Comparison:
    """The same requests through a fleet that follows its load and begins with ``setup.replicas``,
    and through one of ``scaling.bounds.most``."""
    most = scaling.bounds.most
    fixed = simulate(replace(setup, replicas=most), arrivals, policy, seed)
    scaled = simulate_scaled(setup, scaling, arrivals, policy, seed)
    return Comparison(
        fixed=outcome(fixed, warm_up_s),
        scaled=outcome(scaled.trail, warm_up_s),
        fixed_hours=most * arrivals[-1].at_s / 3600,
        scaled_hours=scaled.replica_s / 3600,
        sizes=scaled.sizes,
    )


@dataclass(slots=True)
class Patience:
    """Grants a wish that has lasted for long enough, as Ray Serve does (``_apply_delay_logic``):
    one in the other direction, or for what there is, begins anew."""

    up_s: float
    down_s: float
    _more: bool = False
    _since_s: float | None = None

    def grant(self, wanted: int, present: int, now: float) -> int:
        """How many replicas there are to be from now on."""
        more = wanted > present
        if wanted == present or (self._since_s is not None and more != self._more):
            self._since_s = None
        if wanted == present:
            return present
        self._more = more
        self._since_s = now if self._since_s is None else self._since_s
        if now - self._since_s < (self.up_s if more else self.down_s):
            return present
        self._since_s = None
        return wanted


@dataclass(slots=True, eq=False)
class _Hired:
    """A replica's time, from its start to the end of its last request.

    Attributes:
        up_s: since when it takes requests.
        told: its load, when it last looked.
    """

    since_s: float
    replica: Replica | None = None
    up_s: float = 0.0
    until_s: float | None = None
    told: deque[Load] = field(default_factory=deque)


class _Scaler:
    """Ray Serve's controller, as far as it adds and removes replicas."""

    def __init__(self, twin: Twin, scaling: Scaling, end_s: float) -> None:
        self._twin = twin
        self._scaling = scaling
        self._end_s = end_s
        self._patience = Patience(scaling.upscale_delay_s, scaling.downscale_delay_s)
        self._hired = [_Hired(0.0, replica) for replica in twin.running]
        self.sizes = [(0.0, len(self._hired))]

    def begin(self) -> None:
        self._record()
        self._after(self._scaling.told_s, self._decide)

    def replica_s(self) -> float:
        """Seconds of replicas up to the last arrival."""
        ends = [self._end_s if one.until_s is None else one.until_s for one in self._hired]
        spans = zip(self._hired, ends, strict=True)
        return sum(max(0.0, min(end_s, self._end_s) - one.since_s) for one, end_s in spans)

    def _record(self) -> None:
        """Every replica looks at its load, and one that has left and has nothing to do is gone."""
        for one in self._hired:
            if one.replica is None or one.until_s is not None:
                continue
            one.told.append(Load.of(one.replica.news()))
            if len(one.told) * self._scaling.record_s > self._scaling.look_back_s:
                one.told.popleft()
            if one.replica not in self._twin.running and not one.replica.left():
                one.replica.stop()
                one.until_s = self._now
        self._after(self._scaling.record_s, self._record)

    def _decide(self) -> None:
        """How many there are to be, by what the running ones have told."""
        bounds, targets = self._scaling.bounds, self._scaling.targets
        running, starting = self._running(), self._starting()
        loads = [
            Load.mean(one.told) for one in running if self._now - one.up_s >= self._scaling.told_s
        ]
        present = len(running) + len(starting)
        wanted = wish(loads, len(running) - len(loads), present, bounds, targets).replicas
        granted = self._patience.grant(wanted, present, self._now)
        for _ in range(granted - present):
            self._hire()
        for one in [*running, *starting][granted:]:
            self._dismiss(one)  # as Serve: starting ones first, then the newest
        self._after(self._scaling.told_s, self._decide)

    def _hire(self) -> None:
        one = _Hired(self._now)
        self._hired.append(one)
        self._after(self._scaling.start_s, partial(self._arrive, one))

    def _arrive(self, one: _Hired) -> None:
        if one.until_s is None:
            self._twin.add()
            one.replica, one.up_s = self._twin.running[-1], self._now
            self._note_size()

    def _dismiss(self, one: _Hired) -> None:
        if one.replica is None:
            one.until_s = self._now
        else:
            self._twin.retire(one.replica)
            self._note_size()

    def _running(self) -> list[_Hired]:
        return [one for one in self._hired if one.replica in self._twin.running]

    def _starting(self) -> list[_Hired]:
        return [one for one in self._hired if one.replica is None and one.until_s is None]

    def _note_size(self) -> None:
        self.sizes.append((self._now, len(self._twin.running)))

    @property
    def _now(self) -> float:
        return self._twin.events.now

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        if self._now <= self._end_s + DRAIN_S:
            self._twin.events.at(self._now + delay_s, action)
