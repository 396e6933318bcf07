from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.simulator.gpu import (
    GPUS,
    LLAMA_8B,
    GpuName,
    LoraSetting,
    kv_tokens,
    machine,
)

H100, L4 = GPUS[GpuName.H100], GPUS[GpuName.L4]
RANKS = st.sampled_from([16, 32, 64, 128, 256])


def test_shapes_give_the_sizes_known_of_llama_8b() -> None:
    assert LLAMA_8B.parameters == pytest.approx(8.03e9, rel=0.01)
    assert LLAMA_8B.kv_bytes == 128 * 1024
    assert LLAMA_8B.adapter_bytes(16) == pytest.approx(84e6, rel=0.01)
    assert LLAMA_8B.adapter_bytes(64) == pytest.approx(335e6, rel=0.01)


@given(rank=RANKS, slots=st.integers(1, 64))
def test_memory_is_weights_slots_and_the_kv_cache(rank: int, slots: int) -> None:
    setting = LoraSetting(max_loras=slots, max_lora_rank=rank)
    used = (
        LLAMA_8B.parameters * LLAMA_8B.bytes_each
        + slots * LLAMA_8B.adapter_bytes(rank)
        + kv_tokens(H100, LLAMA_8B, setting) * LLAMA_8B.kv_bytes
        + setting.working_bytes
    )
    budget = H100.memory * setting.memory_share
    assert budget - LLAMA_8B.kv_bytes < used <= budget


@given(rank=RANKS, slots=st.integers(1, 32))
def test_a_slot_takes_memory_and_time_by_the_rank_it_has_room_for(rank: int, slots: int) -> None:
    setting = LoraSetting(max_loras=slots, max_lora_rank=16)
    low, high = (
        machine(H100, LLAMA_8B, replace(setting, max_lora_rank=one)) for one in (16, max(32, rank))
    )
    assert low.kv_tokens > high.kv_tokens
    assert low.adapter_s < high.adapter_s
    assert low.prefill_s < high.prefill_s
    assert (low.swap_s, low.stage_s) == (high.swap_s, high.stage_s), "adapters are what they were"


def test_settings_for_which_vllm_would_not_start_are_refused_by_their_numbers() -> None:
    machine(L4, LLAMA_8B, LoraSetting(max_loras=7, max_lora_rank=64))
    with pytest.raises(ConfigError, match=r"max_loras 9 at max_lora_rank 64 .* 0\.34 GB"):
        machine(L4, LLAMA_8B, LoraSetting(max_loras=9, max_lora_rank=64))


def test_adapters_larger_than_their_slots_are_refused() -> None:
    with pytest.raises(ConfigError, match="rank 16 do not fit max_lora_rank 8"):
        machine(H100, LLAMA_8B, LoraSetting(max_lora_rank=8))


@pytest.mark.parametrize("name", GpuName)
def test_every_gpu_runs_the_default(name: GpuName) -> None:
    one = machine(GPUS[name], LLAMA_8B, LoraSetting())
    assert one.kv_tokens >= 8192
    assert 0.005 < one.step_s < 0.1
