"""What ``max_loras`` and ``max_lora_rank`` cost on a GPU: memory, and time by the roofline. Pure.

Memory is by vLLM's own rule: it sets aside ``max_loras`` slots, each as large as an adapter of
``max_lora_rank`` whatever the adapters' rank (``vllm/lora/layers``), and gives the KV cache what is
left. Time is an estimate until ``serve-app calibrate`` has measured a real replica:

- a step reads the base's weights once, and once more the slot of each adapter in its batch, padded
  to ``max_lora_rank``: vLLM's kernels compute on all of it (vllm#22782, and the grid over adapters
  of ``lora_shrink_op.py``); S-LoRA's (Sheng et al., 2023), which do not pad, show the same growth
  with adapters in a batch;
- any LoRA in a step costs it two more kernels a module, 2 ms (Punica: Chen et al., 2023);
- prompts are bound by arithmetic, in which thin LoRA matrices are far less efficient than the base.
"""

from dataclasses import dataclass
from enum import StrEnum

from serve_app.errors import ConfigError
from serve_app.simulator.machine import Machine

GIB = 2**30

_BANDWIDTH_SHARE = 0.8  # of what is on the data sheet, reached by reading weights
_PREFILL_SHARE = 0.5  # of the arithmetic on the data sheet, reached by prompts
_LORA_SHARE = 0.1  # the same, by the thin matrices of an adapter
_HOST_S = 0.002  # scheduling, sampling and launching of a step
_HOST_REQUEST_S = 0.00001  # the same for each of its requests
_LORA_LAUNCH_S = 0.002
_TENSOR_COPY_S = 0.00001  # starting one copy of a tensor into its slot
_HOST_TO_GPU = 12e9  # bytes a second, from memory that is not pinned
_DISK = 2e9  # bytes a second
_NETWORK = 0.5e9  # bytes a second
_FIRST_BYTE_S = 0.5  # until a store has answered for an adapter's two files
_PARSE_S = 0.05  # reading an adapter's config and header


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU by its data sheet.

    Attributes:
        memory: bytes, as CUDA reports them.
        bandwidth: bytes a second.
        arithmetic: bf16 operations a second, dense.
    """

    memory: float
    bandwidth: float
    arithmetic: float


class GpuName(StrEnum):
    """GPUs that are known by name."""

    H100 = "h100"
    A100 = "a100"
    L40S = "l40s"
    A10G = "a10g"
    L4 = "l4"


GPUS = {
    GpuName.H100: Gpu(79.1 * GIB, 3.35e12, 989e12),
    GpuName.A100: Gpu(79.1 * GIB, 2.04e12, 312e12),
    GpuName.L40S: Gpu(44.4 * GIB, 0.864e12, 362e12),
    GpuName.A10G: Gpu(22.1 * GIB, 0.6e12, 70e12),
    GpuName.L4: Gpu(22.0 * GIB, 0.3e12, 121e12),
}


@dataclass(frozen=True, slots=True)
class Model:
    """Shapes of a Llama-like model, by default those of Llama 3.1 8B in bf16."""

    layers: int = 32
    hidden: int = 4096
    intermediate: int = 14336
    heads: int = 32
    kv_heads: int = 8
    head: int = 128
    vocabulary: int = 128_256
    bytes_each: int = 2

    @property
    def modules(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of a layer's seven projections, which adapters change."""
        query, key = self.heads * self.head, self.kv_heads * self.head
        attention = ((self.hidden, query), (self.hidden, key), (self.hidden, key))
        up = (self.hidden, self.intermediate)
        return (*attention, (query, self.hidden), up, up, (self.intermediate, self.hidden))

    @property
    def parameters(self) -> int:
        """All weights, norms left out."""
        in_layers = self.layers * sum(inputs * outputs for inputs, outputs in self.modules)
        return in_layers + 2 * self.vocabulary * self.hidden

    @property
    def kv_bytes(self) -> int:
        """Bytes of KV cache a token takes."""
        return 2 * self.layers * self.kv_heads * self.head * self.bytes_each

    def adapter_parameters(self, rank: int) -> int:
        """Of an adapter on all seven projections."""
        return rank * self.layers * sum(inputs + outputs for inputs, outputs in self.modules)

    def adapter_bytes(self, rank: int) -> int:
        """Of that adapter, and of a slot of that rank: 84 MB at rank 16 for the default."""
        return self.adapter_parameters(rank) * self.bytes_each


LLAMA_8B = Model()


@dataclass(frozen=True, slots=True)
class LoraSetting:
    """How an engine is set up for adapters.

    Attributes:
        max_loras: LoRA slots.
        max_lora_rank: the rank every slot has room for.
        max_cpu_loras: adapters held in host memory.
        adapter_rank: the rank that adapters really have.
        context: tokens a request typically has in the KV cache while it decodes.
        max_num_seqs: requests in one batch.
        max_num_batched_tokens: tokens in one step.
        max_model_len: tokens a request may have.
        memory_share: what vLLM may take of the GPU (gpu_memory_utilization).
        working_bytes: of that, for activations and CUDA graphs.
    """

    max_loras: int = 8
    max_lora_rank: int = 16
    max_cpu_loras: int = 32
    adapter_rank: int = 16
    context: int = 300
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048
    max_model_len: int = 8192
    memory_share: float = 0.9
    working_bytes: float = 1.5 * GIB


def kv_tokens(gpu: Gpu, model: Model, setting: LoraSetting) -> int:
    """Tokens for which the KV cache has room; below 0 if not even weights and slots fit."""
    slots = setting.max_loras * model.adapter_bytes(setting.max_lora_rank)
    weights = model.parameters * model.bytes_each
    left = gpu.memory * setting.memory_share - weights - slots - setting.working_bytes
    return int(left // model.kv_bytes)


def machine(gpu: Gpu, model: Model, setting: LoraSetting) -> Machine:
    """A replica of ``model`` on one ``gpu``.

    Raises:
        ConfigError: adapters are larger than slots, or the KV cache would not hold one request
            of ``max_model_len``, for which vLLM does not start.
    """
    if setting.adapter_rank > setting.max_lora_rank:
        raise ConfigError(
            f"adapters of rank {setting.adapter_rank} do not fit max_lora_rank "
            f"{setting.max_lora_rank}"
        )
    tokens = kv_tokens(gpu, model, setting)
    if tokens < setting.max_model_len:
        slot_gb = model.adapter_bytes(setting.max_lora_rank) / 1e9
        raise ConfigError(
            f"max_loras {setting.max_loras} at max_lora_rank {setting.max_lora_rank} does not fit "
            f"this GPU: {setting.max_loras} slots of {slot_gb:.2f} GB leave KV cache for "
            f"{max(0, tokens)} tokens, and a request may have {setting.max_model_len}"
        )
    return _timed(gpu, model, setting, tokens)


def _timed(gpu: Gpu, model: Model, setting: LoraSetting, tokens: int) -> Machine:
    bandwidth = gpu.bandwidth * _BANDWIDTH_SHARE
    token_s = 2 * model.parameters / gpu.arithmetic / _PREFILL_SHARE
    lora_operations = 2 * model.adapter_parameters(setting.max_lora_rank)
    adapter = model.adapter_bytes(setting.adapter_rank)
    copies = 2 * model.layers * len(model.modules)
    return Machine(
        max_num_seqs=setting.max_num_seqs,
        max_num_batched_tokens=setting.max_num_batched_tokens,
        kv_tokens=tokens,
        max_loras=setting.max_loras,
        max_cpu_loras=max(setting.max_cpu_loras, setting.max_loras),
        step_s=model.parameters * model.bytes_each / bandwidth + _HOST_S + _LORA_LAUNCH_S,
        decode_s=setting.context * model.kv_bytes / bandwidth + _HOST_REQUEST_S,
        prefill_s=token_s + lora_operations / gpu.arithmetic / _LORA_SHARE,
        adapter_s=model.adapter_bytes(setting.max_lora_rank) / bandwidth,
        stage_s=_FIRST_BYTE_S + adapter / _NETWORK,
        disk_s=_PARSE_S + adapter / _DISK,
        swap_s=adapter / _HOST_TO_GPU + copies * _TENSOR_COPY_S,
    )
