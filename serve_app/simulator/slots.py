"""Which adapters a simulated engine runs in its next step."""

from collections.abc import Iterable, Sequence
from itertools import count

from serve_app.engine.turns import Turns, take_turns
from serve_app.simulator.machine import Machine, SlotRule


class Slots:
    """Who holds a LoRA slot, by the engine's own rule for turns or by vLLM's.

    Attributes:
        holding: adapters that may run.
        ends_s: when the next turn is over, None if nobody waits for a slot.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._new_id = count(1)
        self._turns = Turns()
        self._filled: dict[str, None] = {}  # used longest ago first
        self._hold(())
        self.ends_s: float | None = None

    def next(self, running: Sequence[str], waiting: Iterable[str], now: float) -> int:
        """Decide for the coming step; returns how many slots must be filled for it.

        Args:
            running: adapters with requests in the batch.
            waiting: adapters of requests that wait to be admitted, whoever came first first.
        """
        wanting = dict.fromkeys((*running, *waiting))
        if len(wanting) <= self._machine.max_loras and self.ends_s is None:
            self._let_all(list(wanting), now)
        elif self._machine.slot_rule is SlotRule.PLAIN:
            self._hold(list(wanting)[: self._machine.max_loras])
        else:
            self._take_turns(list(wanting), now)
        return self._fill()

    def _let_all(self, wanting: list[str], now: float) -> None:
        if self.holding != set(wanting):
            since = self._turns.holding
            ids = map(self._id, wanting)
            self._turns = Turns({id_: since.get(id_, now) for id_ in ids})
            self._hold(wanting)

    def _hold(self, names: Sequence[str]) -> None:
        """``names`` in an order of their own: that of a set is another one in every process."""
        self._order, self.holding = names, frozenset(names)

    def _take_turns(self, wanting: list[str], now: float) -> None:
        slots, turn_s = self._machine.max_loras, self._machine.turn_s
        self._turns = take_turns(self._turns, map(self._id, wanting), slots, turn_s, now)
        self._hold([self._names[id_] for id_ in self._turns.holding])
        waited_for = bool(self._turns.waiting)
        self.ends_s = min(self._turns.holding.values()) + turn_s if waited_for else None

    def _fill(self) -> int:
        missing = [name for name in self._order if name not in self._filled]
        for name in self._order:
            self._filled.pop(name, None)
            self._filled[name] = None
        while len(self._filled) > self._machine.max_loras:
            del self._filled[next(iter(self._filled))]
        return len(missing)

    def _id(self, name: str) -> int:
        id_ = self._ids.get(name)
        if id_ is None:
            id_ = self._ids[name] = next(self._new_id)
            self._names[id_] = name
        return id_
