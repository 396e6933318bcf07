"""What a gateway remembers of where requests went."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing.messages import Reply
from serve_app.routing.placements import Placement, Placements
from serve_app.routing.policy import Choice, Delay, Reason

CHOICE = Choice("r1", Reason.HOME, Delay(0.8, 0.0, 0.1, 0.05))


@dataclass
class AskedOnce:
    """A request that is being answered."""

    request_id: str = "request-1"
    first_byte_s: float | None = None
    duration_s: float = 0.0
    outcome: str = "client_gone"


def a_memory(adapters: int = 3, each: int = 2, now: float = 100.0) -> Placements:
    return Placements(lambda: now, adapters, each)


def _ids(placements: tuple[Placement, ...]) -> list[str]:
    return [one.asked.request_id for one in placements]


def test_a_placement_is_kept_with_its_choice_and_what_its_replica_said_of_it() -> None:
    memory = a_memory()
    memory.note("finance", CHOICE, Reply(200, cold_load_s=0.7), AskedOnce())
    (one,) = memory.latest()["finance"]
    assert (one.choice, one.cold_load_s, one.streamed) == (CHOICE, 0.7, True)


def test_a_request_that_was_cut_short_is_kept_too() -> None:
    memory = a_memory()
    memory.note(None, CHOICE, None, AskedOnce())
    (one,) = memory.latest()[None]
    assert (one.cold_load_s, one.streamed) == (None, False)


def test_a_whole_answer_is_no_stream() -> None:
    memory = a_memory()
    memory.note("finance", CHOICE, Reply(200, b"{}"), AskedOnce())
    assert not memory.latest()["finance"][0].streamed


def test_what_came_of_a_request_is_known_once_it_is_over() -> None:
    memory, asked = a_memory(now=100.0), AskedOnce()
    memory.note("finance", CHOICE, Reply(200, b"{}"), asked)
    asked.first_byte_s, asked.duration_s, asked.outcome = 1.5, 2.0, "ok"
    (one,) = memory.latest()["finance"]
    assert (one.asked.first_byte_s, one.asked.outcome, one.at) == (1.5, "ok", 98.0)


def test_adapters_and_placements_come_newest_first() -> None:
    memory = a_memory()
    for number, adapter in enumerate(["a", "b", "a"]):
        memory.note(adapter, CHOICE, None, AskedOnce(str(number)))
    assert {name: _ids(them) for name, them in memory.latest().items()} == {
        "a": ["2", "0"],
        "b": ["1"],
    }
    assert list(memory.latest()) == ["a", "b"]


@given(
    asked=st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), max_size=60),
    adapters=st.integers(1, 4),
    each=st.integers(1, 3),
)
def test_it_remembers_the_last_of_each_of_the_last_adapters_and_no_more(
    asked: list[str | None], adapters: int, each: int
) -> None:
    memory = a_memory(adapters, each)
    for number, adapter in enumerate(asked):
        memory.note(adapter, CHOICE, None, AskedOnce(str(number)))
    latest = memory.latest()
    assert list(latest) == list(dict.fromkeys(reversed(asked)))[:adapters]
    for adapter, kept in latest.items():
        numbers = [str(number) for number, other in enumerate(asked) if other == adapter]
        assert _ids(kept) == numbers[::-1][: len(kept)]
        assert 1 <= len(kept) <= each
