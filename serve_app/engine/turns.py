"""Whose turn it is: which adapters hold an engine's LoRA slots while others wait for one. Pure.

Adapters are known by their ids alone, and time is an argument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Turns:
    """Who holds a slot and who waits for one.

    Attributes:
        holding: adapters with a slot, and when each got it, in seconds.
        waiting: adapters without one, whoever waits longest first.
    """

    holding: Mapping[int, float] = field(default_factory=dict)
    waiting: tuple[int, ...] = ()


def take_turns(
    turns: Turns, wanting: Iterable[int], slots: int, turn_s: float, now: float
) -> Turns:
    """Whose turn it is now.

    A slot nobody holds goes to the adapter that waits longest. If adapters wait beyond that, those
    whose turn is over give their slots up, longest turn first and no more than there are adapters
    waiting, and wait in their turn. Hence, if this is asked every ``step_s`` seconds:

    - The k-th adapter that waits has a slot within ``ceil(k / slots) * (turn_s + step_s)``, however
      busy those before it are. It has one at once if somebody has held a slot for a turn already.
    - A slot changes hands once in ``turn_s`` at most, unless its adapter has nothing left to do.
    - With no more adapters than slots nobody ever gives one up.

    Args:
        wanting: adapters with requests that run or could, whoever came first first.
        slots: how many adapters may run at once.
        turn_s: seconds an adapter keeps its slot though others wait for one.
        now: seconds, of a clock that never goes back.
    """
    active = dict.fromkeys(wanting)
    holding = {adapter: since for adapter, since in turns.holding.items() if adapter in active}
    queue = [adapter for adapter in turns.waiting if adapter in active]
    queue += [a for a in active if a not in holding and a not in turns.waiting]
    over = [adapter for adapter, since in holding.items() if now - since >= turn_s]
    missing = max(0, len(queue) + len(holding) - slots)
    giving = sorted(over, key=holding.__getitem__)[:missing]
    for adapter in giving:
        del holding[adapter]
    free = slots - len(holding)
    return Turns(holding | dict.fromkeys(queue[:free], now), (*queue[free:], *giving))
