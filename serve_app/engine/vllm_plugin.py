"""What vLLM runs in each of its own processes (entry point group ``vllm.general_plugins``).

Two things must hold inside the engine process: it ends when its replica ends, and on the CPU build
a base-model row is not answered with an adapter.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


def register() -> None:
    """Called by vLLM once in every process it starts; safe to call again."""
    if multiprocessing.parent_process() is not None:
        die_with_parent()
    mend_cpu_lora()


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone (Linux prctl(2))."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def mend_cpu_lora() -> None:
    """Zero what vLLM's torch LoRA ops compute for rows without an adapter.

    They index the stacked weights with the row's slot, and "no adapter" is -1: in torch, the last
    slot. Seen in 0.32.0 and 0.33; GPU kernels skip such rows and never come here.
    """
    from vllm.lora.ops import torch_ops
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    if getattr(lora_ops.bgmv_shrink, "mended", False):
        return
    mended = _without_rows_of_base(lora_ops.bgmv_shrink)
    for module in (lora_ops, torch_ops, punica_cpu):
        module.bgmv_shrink = mended


def _without_rows_of_base(shrink: Callable[..., None]) -> Callable[..., None]:
    """``bgmv_shrink`` whose output rows are zero where the slot is -1: zeros expand to zeros."""

    def mended(inputs: Any, weights: Any, output: Any, slots: Any, scaling: float = 1.0) -> None:
        shrink(inputs, weights, output, slots, scaling)
        output[slots < 0] = 0

    mended.mended = True  # type: ignore[attr-defined]
    return mended
