"""Made-up samples: ours generates half as fast as bare, and costs three times the CPU time."""

from serve_app.bench.plan import Load, Side
from serve_app.bench.results import Burst, Sample
from serve_app.bench.roles import Role

STREAMED = Load(2, 1, 50)
UNARY = Load(4, 5, 1, streamed=False)


def sample(side: Side, load: Load, number: int, wall_s: float, strangers_s: float = 0.0) -> Sample:
    used = {Role.GATEWAY: 0.2, Role.RAY: 0.1} if side is Side.OURS else {Role.SERVER: 0.1}
    first_s = tuple(wall_s / 10 for _ in range(load.requests))
    burst = Burst(wall_s, load.requests * load.tokens, first_s)
    roles = {**used, Role.ENGINE: 0.5, Role.CLIENT: 0.1, Role.STRANGERS: strangers_s}
    return Sample(side, number, load, burst, roles, idle_s=0.1 * wall_s)


def samples(strangers_s: float = 0.0) -> list[Sample]:
    """Three rounds; the last one is slow on both sides."""
    return [
        sample(side, load, number, wall_s * (2 if side is Side.OURS else 1), strangers_s)
        for number, wall_s in ((1, 1.0), (2, 1.0), (3, 5.0))
        for load in (STREAMED, UNARY)
        for side in Side
    ]
