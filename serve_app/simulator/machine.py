"""What one simulated replica is and how long things take on it."""

from dataclasses import dataclass
from enum import StrEnum

from serve_app.routing.view import Costs


class SlotRule(StrEnum):
    """Which adapters may run while there are more of them than LoRA slots."""

    TURNS = "turns"  # an adapter gives its slot up after a turn, if others wait (our scheduler)
    PLAIN = "plain"  # an adapter keeps its slot for as long as it has requests (vLLM's own)


@dataclass(frozen=True, slots=True)
class Machine:
    """An engine and its adapters' ways into it. The defaults are those of an 8B model on one
    data-centre GPU, rounded; ``calibrated`` against a real replica they are its own.

    A step of the engine takes ``step_s + decode_s * decoding requests + prefill_s * prompt tokens
    + adapter_s * adapters``: linear, as measured for continuous batching (Agrawal et al.,
    Sarathi-Serve, 2024).

    Attributes:
        max_num_seqs: requests in one batch.
        max_num_batched_tokens: tokens in one step.
        kv_tokens: tokens the KV cache holds.
        max_loras: LoRA slots.
        max_cpu_loras: adapters held in the engine's memory.
        step_s: seconds of a step that computes nothing.
        decode_s: seconds each decoding request adds to a step.
        prefill_s: seconds each prompt token adds to the step that computes it.
        adapter_s: seconds each distinct adapter adds to a step.
        stage_s: seconds to bring an adapter's files to the node, once a replica.
        disk_s: seconds to read them into memory, beside the engine's loop.
        swap_s: seconds the engine's loop stands still to fill a slot.
        slot_rule: who may run when slots are short.
        turn_s: how long a turn is.
    """

    max_num_seqs: int = 48
    max_num_batched_tokens: int = 2048
    kv_tokens: int = 60_000
    max_loras: int = 8
    max_cpu_loras: int = 32
    step_s: float = 0.012
    decode_s: float = 0.0002
    prefill_s: float = 0.0001
    adapter_s: float = 0.0
    stage_s: float = 1.2
    disk_s: float = 0.25
    swap_s: float = 0.02
    slot_rule: SlotRule = SlotRule.TURNS
    turn_s: float = 0.5

    def costs(self) -> Costs:
        """What such a replica would tell gateways before it has measured anything."""
        return Costs(
            stage_s=self.stage_s,
            disk_s=self.disk_s,
            swap_s=self.swap_s,
            prompt_token_s=self.prefill_s,
            hold_s=self.turn_s,
        )


GPU = Machine()
