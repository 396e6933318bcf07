"""vLLM's scheduler with turns: an adapter that waits for a LoRA slot gets one in bounded time, and
a tenant below its share does not wait for others' prompts.

Runs in the engine's process. vLLM itself admits ``max_loras`` adapters to a batch and skips the
requests of all others for as long as those are busy, and computes prompts first come first served.
"""

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.request_queue import RequestQueue
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request, RequestStatus

from serve_app.engine.turns import Turns, take_turns


def scheduler(*args: Any, vllm_config: Any, **kwargs: Any) -> Scheduler:
    """vLLM's ``scheduler_cls``: the class it would have chosen, with turns.

    ``additional_config["slot_turn_s"]`` says how long a turn lasts.
    """
    kind = AsyncTurnScheduler if vllm_config.scheduler_config.async_scheduling else TurnScheduler
    return kind(*args, vllm_config=vllm_config, **kwargs)


class TurnScheduler(Scheduler):  # type: ignore[misc]
    """Pauses the running requests of an adapter whose turn is over, until its next one.

    A paused request stays where vLLM has it and keeps its KV blocks; it is only passed over, as
    vLLM itself passes over one that is not yet eligible for its next token. So its abort, its end
    and every count are vLLM's own business. It is preempted, to be computed again, only if somebody
    who may run lacks the memory or the seat it holds.

    So a request is admitted at its adapter's turn, for which ``take_turns`` has the bound, and a
    step of the engine later if room must be made first.

    A request of a priority below 0 waits for no other's prompt: those that are not computed yet
    give way to its own for a step, but for every other one, so that they get on whoever asks.
    """

    def __init__(self, *args: Any, vllm_config: Any, **kwargs: Any) -> None:
        super().__init__(*args, vllm_config=vllm_config, **kwargs)
        self._turn_s: float = vllm_config.additional_config["slot_turn_s"]
        self._slots: int = vllm_config.lora_config.max_loras
        self._clock: Callable[[], float] = time.monotonic
        self._turns = Turns()
        self._gives_way = False

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        if not (self._turns.waiting or self.waiting or self.kv_holding_waiting):
            self._gives_way = False
            return super().schedule(throttle_prefills)  # everybody runs: the case to be quick in
        now = self._clock()
        self._turns = take_turns(self._turns, self._wanting(), self._slots, self._turn_s, now)
        self._gives_way = not self._gives_way and any(map(_is_first, self._may_be_next()))
        if not (self._turns.waiting or self._gives_way):
            return super().schedule(throttle_prefills)
        paused = self._pause()
        held = [(queue, self._hold(queue)) for queue in (self.kv_holding_waiting, self.waiting)]
        output = super().schedule(throttle_prefills)
        full = output.total_num_scheduled_tokens >= self.max_num_scheduled_tokens
        if not full and not throttle_prefills:
            self._make_room(paused, now)
        for queue, requests in held:
            _put_back(queue, requests)
        return output

    def _wanting(self) -> Iterator[int]:
        """Adapters with requests that run or may be admitted, those that run first."""
        for request in chain(self.running, self._admissible()):
            if request.lora_request is not None:
                yield request.lora_request.lora_int_id

    def _admissible(self) -> Iterator[Request]:
        """Requests vLLM would admit now if it had the room."""
        queues = {
            PauseState.UNPAUSED: (self.kv_holding_waiting, self.waiting),
            PauseState.PAUSED_NEW: (self.kv_holding_waiting,),
            PauseState.PAUSED_ALL: (),
        }[self.pause_state]
        return (r for r in chain(*queues) if not self._is_blocked_waiting_status(r.status))

    def _may_be_next(self) -> Iterator[Request]:
        """Requests whose prompts the coming step may compute."""
        unfinished = (request for request in self.running if request.is_prefill_chunk)
        return filter(self._has_turn, chain(unfinished, self._admissible()))

    def _may_run(self, request: Request) -> bool:
        if self._gives_way and not _is_first(request) and _has_prompt_left(request):
            return False
        return self._has_turn(request)

    def _has_turn(self, request: Request) -> bool:
        lora = request.lora_request
        return lora is None or lora.lora_int_id in self._turns.holding

    def _pause(self) -> list[Request]:
        """Have vLLM pass over whoever may not run in the coming step, and preempt them first if
        the others' next tokens need memory: it takes the last of ``running``.

        A step later at the soonest they go on. By then the output of their last one is back, as no
        more than one step is ever scheduled ahead; with pipeline stages the model runner itself
        keeps the tokens, and vLLM's own date for the next one stands if it is later.
        """
        paused = [request for request in self.running if not self._may_run(request)]
        for request in paused:
            later = self.current_step + 2  # the coming step is current_step + 1
            request.next_decode_eligible_step = max(request.next_decode_eligible_step, later)
            request.spec_token_ids = []  # guesses made for the coming step
        self.running.sort(key=frozenset(paused).__contains__)
        return paused

    def _hold(self, queue: RequestQueue) -> list[Request]:
        """Take out of a queue whoever may not be admitted in the coming step."""
        held = [
            request
            for request in queue
            if not (self._is_blocked_waiting_status(request.status) or self._may_run(request))
        ]
        queue.remove_requests(held)
        return held

    def _make_room(self, paused: list[Request], now: float) -> None:
        """Preempt paused requests, the last first, if somebody who may run was not admitted: at
        least one, and as many as must go for its prompt to fit."""
        stuck = next(filter(self._may_run, self._admissible()), None)
        if stuck is None:
            return
        blocks = self._request_remaining_blocks(stuck)
        pool = self.kv_cache_manager.block_pool
        for request in reversed(paused):
            if request.status is RequestStatus.RUNNING:  # vLLM may have preempted it just now
                self.running.remove(request)
                self._preempt_request(request, now, drop_stale_output=self.requires_kv_delivery)
                if pool.get_num_free_blocks() >= blocks:
                    return


class AsyncTurnScheduler(TurnScheduler, AsyncScheduler):  # type: ignore[misc]
    """The same where vLLM schedules a step before it has the last one's output."""


def _is_first(request: Request) -> bool:
    return bool(request.priority < 0)


def _has_prompt_left(request: Request) -> bool:
    return bool(request.is_prefill_chunk or request.status is not RequestStatus.RUNNING)


def _put_back(queue: RequestQueue, held: list[Request]) -> None:
    """Everybody in the order they came, so that nobody loses a place by being held; those that are
    first before all others."""
    if not held:
        return
    everybody = [*queue, *held]
    queue.remove_requests(list(queue))
    for request in sorted(everybody, key=lambda one: (not _is_first(one), one.arrival_time)):
        queue.add_request(request)
