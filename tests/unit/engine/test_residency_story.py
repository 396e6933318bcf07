"""Residency under whatever happens in whatever order, on a real event loop and an engine that
checks what is asked of it."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from serve_app.engine.places import Patience
from serve_app.engine.stay import Phase
from serve_app.errors import AdapterLoading, AdapterRefused, AdapterRemoved
from tests.unit.fakes import until
from tests.unit.residency_bench import Bench

ADAPTERS = "abcde"
CAPACITY = 2
EXPECTED = (
    float,
    AdapterLoading,
    AdapterRefused,
    AdapterRemoved,
    RuntimeError,  # an engine's that makes no sense
    asyncio.CancelledError,
)

LONG = 6
TURNS = st.integers(0, LONG)

adapters = st.sampled_from(ADAPTERS)
T = TypeVar("T")


@dataclass(eq=False)
class User:
    """Somebody who holds, or waits for, a lease until told to let go."""

    task: "asyncio.Task[float | None]"
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Story(RuleBasedStateMachine):
    """Every rule is one thing that happens; the loop takes a few turns in between."""

    users = Bundle("users")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.everybody: list[User] = []
        self.pinned: set[str] = set()
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self.bench = Bench(Path(self.folder.name), CAPACITY, Patience(turn_s=0.005))

    @rule(target=users, adapter=adapters, turns=TURNS)
    def lease(self, adapter: str, turns: int) -> User:
        return self._do(self._lease(adapter), turns)

    @rule(user=consumes(users), turns=TURNS)
    def release(self, user: User, turns: int) -> None:
        user.done.set()
        self._do(asyncio.sleep(0), turns)

    @rule(user=consumes(users), turns=TURNS)
    def cancel(self, user: User, turns: int) -> None:
        user.task.cancel()
        self._do(asyncio.sleep(0), turns)

    @rule(adapter=adapters, turns=TURNS)
    def retire(self, adapter: str, turns: int) -> None:
        self._call(lambda: self.bench.residency.retire(self.bench.name(adapter)), turns)

    @rule(adapter=adapters, abort_after_s=st.sampled_from([0.0, 3600.0]), turns=TURNS)
    def remove(self, adapter: str, abort_after_s: float, turns: int) -> None:
        residency, name = self.bench.residency, self.bench.name(adapter)
        self._call(lambda: residency.retire(name, abort_after_s), turns)

    @rule(adapter=adapters, turns=TURNS)
    def restore(self, adapter: str, turns: int) -> None:
        self._call(lambda: self.bench.residency.restore(self.bench.name(adapter)), turns)

    @rule(adapter=adapters)
    def pin(self, adapter: str) -> None:
        self.pinned.add(self.bench.name(adapter))
        self._call(lambda: self.bench.residency.pin(self.pinned), 1)

    @rule()
    def unpin(self) -> None:
        gone, self.pinned = self.pinned, set()
        self._call(lambda: self.bench.residency.unpin(gone), 1)

    @rule(adapter=adapters, turns=TURNS)
    def preload(self, adapter: str, turns: int) -> None:
        self._call(lambda: self.bench.residency.preload(self.bench.version(adapter)), turns)

    @rule(adapter=adapters, of_engine=st.booleans())
    def spoil(self, adapter: str, of_engine: bool) -> None:
        """Loads of the adapter fail from now on: it is refused, or the engine makes no sense."""
        error = RuntimeError("crash") if of_engine else AdapterRefused("bad")
        self.bench.failing(adapter, error)

    @rule(adapter=adapters)
    def mend(self, adapter: str) -> None:
        self.bench.engine.failing.pop(self.bench.name(adapter), None)

    @rule(adapter=adapters, fetching=st.booleans())
    def hold_up(self, adapter: str, fetching: bool) -> None:
        (self.bench.slow_to_fetch if fetching else self.bench.slow)(adapter)

    @rule(turns=TURNS)
    def go_on(self, turns: int) -> None:
        for gates in (self.bench.engine.gates, self.bench.files.gates):
            for gate in gates.values():
                gate.set()
            gates.clear()
        self._do(asyncio.sleep(0), turns)

    @rule(seconds=st.sampled_from([1.0, 20.0, 400.0]), turns=TURNS)
    def time_passes(self, seconds: float, turns: int) -> None:
        self.bench.clock.now += seconds
        self._do(asyncio.sleep(0), turns)

    @rule()
    def check(self) -> None:
        self._do(self.bench.residency.check(), 1)

    @invariant()
    def files_nobody_reports_may_be_deleted(self) -> None:
        """As control does: what is leased, loaded or being loaded never misses them."""
        reported = {held.name for held in self.bench.residency.held()}
        for adapter in ADAPTERS:
            if self.bench.name(adapter) not in reported:
                shutil.rmtree(self.bench.files.path(self.bench.version(adapter)), True)

    @invariant()
    def nothing_was_done_that_an_engine_forbids(self) -> None:
        engine = self.bench.engine
        assert engine.violations == []
        assert len(engine.holding) <= CAPACITY
        assert len(engine.names) == len(engine.holding)
        assert engine.names <= self.bench.here()

    @invariant()
    def whoever_has_a_lease_has_the_version_and_its_files(self) -> None:
        for name, users in self.bench.engine.leased.items():
            if users:
                assert name in self.bench.engine.names
                assert self.bench.engine.directories[name].is_dir()

    @invariant()
    def room_is_never_given_twice(self) -> None:
        stays = self.bench.residency.stays()
        assert sum(stay.phase >= Phase.PLACED for stay in stays) <= CAPACITY

    def teardown(self) -> None:
        try:
            self.go_on(0)
            self.unpin()
            self.loop.run_until_complete(self._end())
        finally:
            self.loop.run_until_complete(self._close())
            self.loop.close()
            self.folder.cleanup()

    async def _close(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.loop.shutdown_default_executor()

    async def _end(self) -> None:
        """Everybody lets go: nobody is left waiting, every version can be had, retired ones go."""
        for user in self.everybody:
            user.done.set()
        results = await asyncio.wait_for(
            asyncio.gather(*[user.task for user in self.everybody], return_exceptions=True), 10
        )
        for result in results:
            assert result is None or isinstance(result, EXPECTED), repr(result)
        await self._every_version_can_be_had()
        for adapter in ADAPTERS:
            self.bench.residency.retire(self.bench.name(adapter))
        await until(self.bench.holds)
        assert self.bench.residency.waiting == 0
        await until(lambda: not self.bench.files.under_way)
        assert self.bench.engine.violations == []

    async def _every_version_can_be_had(self) -> None:
        self.bench.engine.failing.clear()
        self.bench.clock.now += 1000
        for adapter in ADAPTERS * 2:
            await asyncio.wait_for(self.bench.use(adapter), 5)

    async def _lease(self, adapter: str) -> User:
        done = asyncio.Event()
        user = User(self.bench.start(adapter, done), done)
        self.everybody.append(user)
        return user

    def _call(self, action: Callable[[], object], turns: int) -> None:
        async def act() -> None:
            action()

        self._do(act(), turns)

    def _do(self, action: Coroutine[Any, Any, T], turns: int) -> T:
        async def act() -> T:
            result = await action
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns == LONG:
                await asyncio.sleep(0.006)  # threads and timers have their turn
            return result

        return self.loop.run_until_complete(act())


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
