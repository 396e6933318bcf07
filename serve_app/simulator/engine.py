"""A vLLM-like engine that only keeps time: continuous batching, chunked prefill, LoRA slots.

Steps in which nothing but decoding happens are taken many at a time, up to the next one in which
something may change. Left out: preemption for want of KV cache, and prefix caching.
"""

from collections import deque
from collections.abc import Callable
from math import ceil

from serve_app.routing.seats import room
from serve_app.simulator.batch import Batch
from serve_app.simulator.events import Events
from serve_app.simulator.machine import Machine
from serve_app.simulator.request import Request
from serve_app.simulator.slots import Slots


class Engine:
    """Runs requests whose adapters are in memory.

    Args:
        on_done: told each request that is complete.
    """

    def __init__(
        self, machine: Machine, events: Events, on_done: Callable[[Request], None]
    ) -> None:
        self._machine = machine
        self._events = events
        self._on_done = on_done
        self._waiting: deque[Request] = deque()
        self._prefilling: list[Request] = []
        self._batch = Batch()
        self._slots = Slots(machine)
        self._kv_tokens = 0
        self._chunks: list[tuple[Request, int]] = []
        self._began_s = 0.0
        self._each_s = 0.0
        self._steps = 0  # of the run of steps under way, 0 if idle
        self._run = 0  # names it, for an event may be of one that was cut short
        self._gave_way = False
        self.stopped = False

    @property
    def waiting(self) -> int:
        """Requests that are not admitted yet."""
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens not computed yet."""
        return sum(r.left for r in self._waiting) + sum(r.left for r in self._prefilling)

    @property
    def kv_usage(self) -> float:
        return min(1.0, self._kv_tokens / self._machine.kv_tokens)

    def submit(self, request: Request) -> None:
        """``request`` waits to be admitted from now on."""
        request.left = request.arrival.prompt
        self._queue(request)
        if self.stopped:
            return
        if not self._steps:
            self._begin()
        elif not self._chunks and self._steps > 1:
            self._cut_short()

    def _queue(self, request: Request) -> None:
        """Behind all others, or ahead of those that are not to be first."""
        place = len(self._waiting)
        if request.first:
            place = sum(other.first for other in self._waiting)
        self._waiting.insert(place, request)

    def requests(self) -> list[Request]:
        """All that are not complete."""
        return [*self._waiting, *self._prefilling, *self._batch.requests()]

    def _begin(self) -> None:
        """Decide the next step, or run of equal steps."""
        now = self._events.now
        running = [name for name in self._batch.adapters() if name is not None]
        running += [r.adapter for r in self._prefilling if r.adapter is not None]
        waiting = (r.adapter for r in self._waiting if r.adapter is not None)
        filled = self._slots.next(running, waiting, now)
        self._admit()
        self._chunks = self._chunk()
        decoding = self._batch.running(self._slots.holding)
        if not decoding and not self._chunks:
            self._idle_until_turn()
            return
        machine = self._machine
        tokens = sum(size for _, size in self._chunks)
        self._each_s = machine.step_s + machine.decode_s * decoding + machine.prefill_s * tokens
        self._each_s += machine.adapter_s * self._adapters()
        self._began_s = now + filled * machine.swap_s
        self._steps = 1 if self._chunks else self._equal_steps()
        self._schedule_end()

    def _adapters(self) -> int:
        """How many adapters the coming step computes."""
        computed = {request.adapter for request, _ in self._chunks} | set(self._batch.adapters())
        return len(computed & self._slots.holding)

    def _idle_until_turn(self) -> None:
        """Nobody who holds a slot can go on: for want of memory, until another's turn."""
        self._steps = 0
        if self._slots.ends_s is not None:
            self._each_s, self._steps = self._machine.step_s, 1
            self._began_s = max(self._events.now, self._slots.ends_s)
            self._schedule_end()

    def _equal_steps(self) -> int:
        steps = self._batch.steps_to_next_end(self._slots.holding)
        if self._slots.ends_s is not None:
            to_turn = ceil((self._slots.ends_s - self._began_s) / self._each_s)
            steps = min(steps, max(1, to_turn))
        return steps

    def _schedule_end(self) -> None:
        self._run += 1
        run, end_s = self._run, self._began_s + self._steps * self._each_s
        self._events.at(end_s, lambda: self._end(run))

    def _cut_short(self) -> None:
        """End the run of steps with the one under way: there is somebody to admit."""
        passed_s = self._events.now - self._began_s
        steps = max(1, ceil(passed_s / self._each_s))
        if steps < self._steps:
            self._steps = steps
            self._schedule_end()

    def _end(self, run: int) -> None:
        if run != self._run or self.stopped:
            return
        steps, self._steps = self._steps, 0
        holding = self._slots.holding
        self._kv_tokens += steps * self._batch.running(holding)
        done = self._batch.step(steps, holding)
        done += self._prefilled()
        for request in done:
            self._kv_tokens -= request.arrival.prompt + request.arrival.output
            request.done_s = self._events.now
            self._on_done(request)
        if not self._steps:
            self._begin()

    def _prefilled(self) -> list[Request]:
        """Count the prompts computed in the step; returns requests that asked for one token."""
        done = []
        for request, size in self._chunks:
            request.left -= size
            if request.left:
                continue
            self._prefilling.remove(request)
            request.first_s = self._events.now
            self._kv_tokens += 1
            if request.arrival.output <= 1:
                done.append(request)
            else:
                self._batch.add(request, request.arrival.output - 1)
        self._chunks = []
        return done

    def _admit(self) -> None:
        """Take requests in as vLLM does: in order, passing over those without a slot, until seats
        or memory end."""
        if not self._waiting:
            return
        left: list[Request] = []
        while self._waiting:
            request = self._waiting.popleft()
            if self._budget(request) <= 0 or not self._has_place(request):
                left.append(request)
                break
            if not self._may_run(request):
                left.append(request)
                continue
            if self._kv_tokens + request.arrival.prompt > self._machine.kv_tokens:
                left.append(request)
                break
            self._kv_tokens += request.arrival.prompt
            self._prefilling.append(request)
            self._prefilling.sort(key=lambda r: not r.first)
        self._waiting.extendleft(reversed(left))

    def _may_run(self, request: Request) -> bool:
        return request.adapter is None or request.adapter in self._slots.holding

    def _budget(self, request: Request) -> int:
        """Tokens the coming step may compute of it, beside those of the prompts before it."""
        before = (r.left for r in self._prefilling if r.first or not request.first)
        return self._machine.max_num_batched_tokens - sum(before)

    def _has_place(self, request: Request) -> bool:
        """The room beyond the seats is for those that are first: gateways send no others there."""
        seats = self._machine.max_num_seqs
        most = room(seats) if request.first else seats
        return self._batch.size + len(self._prefilling) < most

    def _chunk(self) -> list[tuple[Request, int]]:
        """Which part of which prompt the coming step computes: those that are first have it to
        themselves, but for every other step."""
        budget, chunks = self._machine.max_num_batched_tokens, []
        able = [request for request in self._prefilling if self._may_run(request)]
        first = [request for request in able if request.first and not self._gave_way]
        self._gave_way = bool(first)
        for request in first or able:
            size = min(budget, request.left)
            if not size:
                break
            chunks.append((request, size))
            budget -= size
        return chunks
