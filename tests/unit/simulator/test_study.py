from dataclasses import replace
from pathlib import Path

from serve_app.simulator import study
from serve_app.simulator.fleet import Setup
from serve_app.simulator.gpu import GPUS, LLAMA_8B, GpuName, LoraSetting, machine
from serve_app.simulator.study import Point
from serve_app.simulator.sweep import Setting

SHORT = replace(study.TRAFFIC, duration_s=9.0)


def _customers(slots: int) -> int:
    setting = LoraSetting(max_loras=slots, max_cpu_loras=500)
    one = machine(GPUS[GpuName.L40S], LLAMA_8B, setting)
    return study.customers(Setting("serve_app", one, 16, Setup()), SHORT, seeds=1)


def test_slots_decide_how_many_customers_a_gpu_serves() -> None:
    assert 0 < _customers(2) < _customers(12)


def test_a_point_without_memory_is_told_apart(tmp_path: Path) -> None:
    points = [
        Point(GpuName.L4, rank, slots, 9000, None if rank > 16 and slots > 4 else slots)
        for rank in study.RANKS
        for slots in (4, 8)
    ]
    study.draw(tmp_path / "slots.png", points)
    assert (tmp_path / "slots.png").stat().st_size > 10_000
    (last,) = list(study.table(points).columns)[-1:]
    assert list(last.cells) == ["8", "-", "-"]
