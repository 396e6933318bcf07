"""vLLM's own scheduler, made from a hand-written config, with a runner played by the bench."""

import json
from pathlib import Path

import torch
from vllm.config import (
    CacheConfig,
    DeviceConfig,
    LoRAConfig,
    ModelConfig,
    SchedulerConfig,
    VllmConfig,
)
from vllm.lora.request import LoRARequest
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.kv_cache_interface import (
    FullAttentionSpec,
    KVCacheConfig,
    KVCacheGroupSpec,
)
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request
from vllm.v1.structured_output import StructuredOutputManager

from serve_app.engine.vllm_scheduler import TurnScheduler
from serve_app.engine.vllm_scheduler import scheduler as make_scheduler

BLOCK = 16
TURN_S = 0.5
A, B, C = "a", "b", "c"
IDS = {A: 1, B: 2, C: 3}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 128,
    "max_position_embeddings": 1024,
}


class Engine:
    """A scheduler, a clock that stands still unless told, and a runner that says token 7."""

    def __init__(self, folder: Path, slots: int, seats: int, blocks: int, ahead: bool) -> None:
        (folder / "config.json").write_text(json.dumps(LLAMA))
        self.now = 100.0
        self.requests: dict[str, Request] = {}
        self._ahead = ahead
        self._outputs: list[SchedulerOutput] = []
        self.scheduler = make_scheduler(
            vllm_config=(config := _config(folder, slots, seats, blocks, ahead)),
            kv_cache_config=_memory(blocks),
            structured_output_manager=StructuredOutputManager(config),
            block_size=BLOCK,
            log_stats=True,
        )
        assert isinstance(self.scheduler, TurnScheduler)
        self.scheduler._clock = lambda: self.now

    def ask(
        self, name: str, adapter: str | None, tokens: int, prompt: int = 8, priority: int = 0
    ) -> Request:
        """A request of so many tokens; every name has a prompt of its own."""
        number = len(self.requests)
        request = Request(
            request_id=name,
            prompt_token_ids=[number] * prompt,
            sampling_params=SamplingParams(max_tokens=tokens, ignore_eos=True),
            pooling_params=None,
            arrival_time=float(number),
            priority=priority,
            lora_request=LoRARequest(adapter, IDS[adapter], f"/{adapter}") if adapter else None,
            block_hasher=get_request_block_hasher(BLOCK, sha256),
        )
        self.requests[name] = request
        self.scheduler.add_request(request)
        return request

    def step(self, times: int = 1, each_s: float = 0.0) -> set[str]:
        """Schedule, run, update; who was in the last batch."""
        output = SchedulerOutput.make_empty()
        for _ in range(times):
            self.now += each_s
            output = self.scheduler.schedule()
            self._outputs.append(output)
            while len(self._outputs) > self._ahead:
                self._run(self._outputs.pop(0))
        return set(output.num_scheduled_tokens)

    def tokens(self, name: str) -> int:
        return len(self.requests[name].output_token_ids)

    def _run(self, output: SchedulerOutput) -> None:
        ran = list(output.num_scheduled_tokens)
        adapters = {lora for name in ran if (lora := self.requests[name].lora_request)}
        assert len(adapters) <= self.scheduler.lora_config.max_loras
        answered = self._answered(output)
        said = ModelRunnerOutput(
            req_ids=ran,
            req_id_to_index={name: n for n, name in enumerate(ran)},
            sampled_token_ids=[[7] if name in answered else [] for name in ran],
            logprobs=None,
            prompt_logprobs_dict={},
            pooler_output=[],
        )
        self.scheduler.update_from_output(output, said)

    def _answered(self, output: SchedulerOutput) -> set[str]:
        """Requests whose prompts are computed whole with this batch, and get a token."""
        cached = output.scheduled_cached_reqs
        begun = dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        begun |= {new.req_id: new.num_computed_tokens for new in output.scheduled_new_reqs}
        return {
            name
            for name, tokens in output.num_scheduled_tokens.items()
            if begun[name] + tokens >= self.requests[name].num_prompt_tokens
        }


def _config(folder: Path, slots: int, seats: int, blocks: int, ahead: bool) -> VllmConfig:
    cache = CacheConfig(block_size=BLOCK, enable_prefix_caching=True)
    cache.num_gpu_blocks = blocks
    config = VllmConfig(
        model_config=ModelConfig(model=str(folder), dtype="float32", skip_tokenizer_init=True),
        cache_config=cache,
        scheduler_config=SchedulerConfig(
            max_num_seqs=seats,
            max_num_batched_tokens=1024,
            max_model_len=1024,
            is_encoder_decoder=False,
        ),
        lora_config=LoRAConfig(max_lora_rank=16, max_loras=slots, max_cpu_loras=8),
        device_config=DeviceConfig("cpu"),
        additional_config={"slot_turn_s": TURN_S},
    )
    config.scheduler_config.async_scheduling = ahead  # the CPU's platform switches it off
    return config


def _memory(blocks: int) -> KVCacheConfig:
    layer = FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=32, dtype=torch.float32)
    groups = [KVCacheGroupSpec(["layer"], layer)]
    return KVCacheConfig(num_blocks=blocks, kv_cache_tensors=[], kv_cache_groups=groups)


def started(
    folder: Path, ahead: bool, slots: int = 1, seats: int = 16, blocks: int = 1000
) -> Engine:
    init_none_hash(sha256)
    return Engine(folder, slots, seats, blocks, ahead)
