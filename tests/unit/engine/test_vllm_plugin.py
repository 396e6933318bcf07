"""Needs the CPU build of vLLM, whose LoRA operators are written in torch."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serve_app.engine.vllm_plugin import mend_cpu_lora, register

torch = pytest.importorskip("torch")
lora_ops = pytest.importorskip("vllm.lora.ops.torch_ops.lora_ops")

from vllm.lora.ops import torch_ops  # noqa: E402 - only where vLLM is installed
from vllm.lora.punica_wrapper import punica_cpu  # noqa: E402

MODULES = (lora_ops, torch_ops, punica_cpu)
SLOTS, RANK, WIDTH = 3, 4, 6
BASE = -1


@pytest.fixture
def unmended() -> Iterator[Callable[..., None]]:
    """vLLM's own operator, put back afterwards."""
    originals = [module.bgmv_shrink for module in MODULES]
    yield originals[0]
    for module, original in zip(MODULES, originals, strict=True):
        module.bgmv_shrink = original


def _batch(slots: list[int]) -> tuple[Any, Any, Any]:
    """Inputs, stacked weights of every slot, and the slot of every row."""
    torch.manual_seed(0)
    return (
        torch.randn(len(slots), WIDTH),
        torch.randn(SLOTS, 1, RANK, WIDTH),
        torch.tensor(slots),
    )


def _shrunk(shrink: Callable[..., None], slots: list[int]) -> Any:
    inputs, weights, index = _batch(slots)
    output = torch.full((len(slots), RANK), 7.0)
    shrink(inputs, weights, output, index, 0.5)
    return output


def test_unmended_vllm_answers_the_base_with_the_last_slot(
    unmended: Callable[..., None],
) -> None:
    assert torch.equal(_shrunk(unmended, [BASE]), _shrunk(unmended, [SLOTS - 1]))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
@pytest.mark.parametrize("slots", [[BASE], [0, BASE, 2, BASE], [BASE, BASE, 1], [0, 1, 2]], ids=str)
def test_rows_of_the_base_come_out_as_zeros_and_no_other_row_changes(
    unmended: Callable[..., None], module: Any, slots: list[int]
) -> None:
    plain = _shrunk(unmended, slots)
    mend_cpu_lora()
    mended = _shrunk(module.bgmv_shrink, slots)
    for row, slot in enumerate(slots):
        assert torch.equal(mended[row], torch.zeros(RANK) if slot == BASE else plain[row])
        assert slot == BASE or mended[row].abs().sum() > 0


@pytest.mark.parametrize("sgmv_shrink", [lora_ops.sgmv_shrink, punica_cpu.sgmv_shrink])
def test_prompts_of_the_base_come_out_as_zeros_beside_prompts_of_adapters(
    unmended: Callable[..., None], sgmv_shrink: Callable[..., None]
) -> None:
    lengths, slots = [2, 3, 1], [1, BASE, 2]
    rows = [slot for slot, length in zip(slots, lengths, strict=True) for _ in range(length)]
    plain = _shrunk(unmended, rows)
    mend_cpu_lora()
    inputs, weights, _ = _batch(rows)
    output = torch.full((len(rows), RANK), 7.0)
    starts = torch.tensor([0, 2, 5])
    sgmv_shrink(
        inputs, weights, output, starts, torch.tensor(lengths), torch.tensor(slots), 3, 3, 6, 0.5
    )
    for row, slot in enumerate(rows):
        assert torch.equal(output[row], torch.zeros(RANK) if slot == BASE else plain[row])


def test_mending_twice_mends_once(unmended: Callable[..., None]) -> None:
    mend_cpu_lora()
    once = lora_ops.bgmv_shrink
    mend_cpu_lora()
    assert lora_ops.bgmv_shrink is once
    assert once is not unmended


def test_registering_mends_and_leaves_a_process_of_its_own_alone(
    unmended: Callable[..., None],
) -> None:
    assert multiprocessing.parent_process() is None
    register()
    assert lora_ops.bgmv_shrink is not unmended


ORPHAN = """
import os, sys, time
from serve_app.engine.vllm_plugin import die_with_parent
parent = os.getpid()
child = os.fork()
if child == 0:
    die_with_parent()
    os.write(1, b"ready")
    time.sleep(60)
os.write(1, b"%d " % child)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own feature")
def test_an_engine_process_ends_with_the_process_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        said = b""
        while b"ready" not in said or b" " not in said:
            said += os.read(parent.stdout.fileno(), 64)
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b"", "the pipe closes when its last holder is gone"
