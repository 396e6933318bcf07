"""Whose CPU time it is: what part of a side a process is, by its title. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from serve_app.bench.plan import Side


class Role(StrEnum):
    """What a process does."""

    ENGINE = "engine core"
    REPLICA = "replica"
    GATEWAY = "gateway"
    HAPROXY = "haproxy"
    SERVER = "api server"
    RAY = "ray and serve"
    CLIENT = "client"
    STRANGERS = "everything else"


ON_THE_PATH = (Role.REPLICA, Role.GATEWAY, Role.HAPROXY, Role.SERVER)
"""What every token passes through, beside the engine."""

OUTSIDE_THE_ENGINE = (*ON_THE_PATH, Role.RAY)
"""All that a side costs, beside the engine."""


@dataclass(frozen=True)
class Process:
    """CPU seconds a process has used since it began."""

    pid: int
    role: Role
    used_s: float


def role(side: Side, title: str) -> Role:
    """The role of a process of ``side``."""
    if "EngineCore" in title:
        return Role.ENGINE
    if side is Side.BARE:
        return Role.SERVER
    if title.startswith("ray::ServeReplica:"):
        return Role.GATEWAY if ":gateway" in title else Role.REPLICA
    return Role.HAPROXY if "haproxy" in title.partition(" ")[0] else Role.RAY


def spent(before: Iterable[Process], after: Iterable[Process]) -> dict[Role, float]:
    """CPU seconds by role between two looks at one side. What a process used that ended in
    between is lost; one that began in between counts in full."""
    earlier_s = {process.pid: process.used_s for process in before}
    total_s: defaultdict[Role, float] = defaultdict(float)
    for process in after:
        total_s[process.role] += process.used_s - earlier_s.get(process.pid, 0.0)
    return dict(total_s)
