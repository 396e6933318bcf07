"""What vLLM makes of its arguments, with room for more requests than it has seats."""

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs

from serve_app.routing.seats import room


def with_room(args: AsyncEngineArgs) -> tuple[VllmConfig, int]:
    """The engine's config, and its seats: the ``max_num_seqs`` that was asked for, or vLLM's own.

    vLLM itself is told ``room`` for those, as far as its ``max_num_batched_tokens`` allow, so that
    what depends on how many requests may run is made for as many.
    """
    config = args.create_engine_config()
    seats: int = config.scheduler_config.max_num_seqs
    args.max_num_seqs = max(seats, min(room(seats), config.scheduler_config.max_num_batched_tokens))
    return args.create_engine_config(), seats
