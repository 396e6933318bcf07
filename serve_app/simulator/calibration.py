"""From what was measured of a real replica to the machine that behaves like it. Pure."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import ConfigError
from serve_app.simulator.machine import Machine

One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class Decoding:
    """A stream among ``streams`` that decode at once, of ``adapters`` distinct adapters.

    Attributes:
        token_s: seconds between two of its tokens, on average.
    """

    streams: int
    adapters: int
    token_s: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of ``tokens`` to an idle engine whose adapter is in a slot.

    Attributes:
        first_s: seconds to the first token, as a client sees it.
    """

    tokens: int
    first_s: float


class Where(StrEnum):
    """Where an adapter was when it was asked for."""

    AWAY = "away"  # its files had never been on the node
    STAGED = "staged"  # on the node, not in the engine's memory
    HELD = "held"  # in the engine's memory, not in a slot
    SLOT = "slot"  # in a slot


@dataclass(frozen=True, slots=True)
class Use:
    """A short prompt to an idle engine for an adapter that was ``where``."""

    where: Where
    first_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    decoding: Sequence[Decoding]
    prompts: Sequence[Prompt]
    uses: Sequence[Use]


@dataclass(frozen=True, slots=True)
class Fit:
    """The machine, and what it does not have.

    Attributes:
        overhead_s: seconds a request takes outside the engine before its first token: HTTP, the
            gateway, the way to the replica and back.
    """

    machine: Machine
    overhead_s: float


def fit(measured: Measured, known: Machine) -> Fit:
    """Fit ``Machine``'s linear step time by least squares, and its loads by medians.

    Each point is the median of what was measured alike. A coefficient that would come out negative
    is zero. What ``uses`` say nothing of: a swap is then part of a load, and a file that never was
    away takes no time to come.

    Args:
        known: what is not fitted: the engine's limits.

    Raises:
        ConfigError: there are fewer than two numbers of streams, or two lengths of prompts.
    """
    step_s, decode_s, adapter_s = _steps(measured.decoding)
    machine = replace(known, step_s=step_s, decode_s=decode_s, adapter_s=adapter_s)
    prefill_s, overhead_s = _prefill(measured.prompts, machine)
    machine = replace(machine, prefill_s=prefill_s)
    return Fit(_loads(measured.uses, machine), overhead_s)


def _steps(decoding: Sequence[Decoding]) -> tuple[float, float, float]:
    """A step's own time, and what each stream and each adapter adds."""
    points = _medians(decoding, lambda one: (one.streams, one.adapters), lambda one: one.token_s)
    if len({streams for streams, _ in points}) < 2:
        raise ConfigError("decoding must be measured with at least two numbers of streams")
    rows = [(1.0, streams, adapters) for streams, adapters in points]
    step_s, decode_s, adapter_s = _least_squares(rows, list(points.values()))
    if not step_s:
        raise ConfigError("a step takes no time by these measurements; measure again, when idle")
    return step_s, decode_s, adapter_s


def _prefill(prompts: Sequence[Prompt], machine: Machine) -> tuple[float, float]:
    """What a token of a prompt takes, and a request outside the engine."""
    points = _medians(prompts, lambda one: one.tokens, lambda one: one.first_s)
    if len(points) < 2:
        raise ConfigError("prompts must be measured in at least two lengths")
    step_s = machine.step_s + machine.adapter_s
    steps = {tokens: ceil(tokens / machine.max_num_batched_tokens) for tokens in points}
    rest = [first_s - steps[tokens] * step_s for tokens, first_s in points.items()]
    overhead_s, prefill_s = _least_squares([(1.0, tokens) for tokens in points], rest)
    return prefill_s, overhead_s


def _loads(uses: Sequence[Use], machine: Machine) -> Machine:
    first_s = _medians(uses, lambda one: one.where, lambda one: one.first_s)
    slot_s = first_s.get(Where.SLOT, 0.0)
    held_s = max(slot_s, first_s.get(Where.HELD, slot_s))
    away_s = first_s.get(Where.AWAY)
    staged_s = first_s.get(Where.STAGED, away_s)
    if staged_s is None:
        return replace(machine, swap_s=held_s - slot_s)
    return replace(
        machine,
        swap_s=held_s - slot_s,
        disk_s=max(0.0, staged_s - held_s),
        stage_s=max(0.0, (away_s or staged_s) - staged_s),
    )


Key = TypeVar("Key", bound=Hashable)


def _medians(
    measured: Iterable[One], key: Callable[[One], Key], value: Callable[[One], float]
) -> dict[Key, float]:
    found: defaultdict[Key, list[float]] = defaultdict(list)
    for one in measured:
        found[key(one)].append(value(one))
    return {name: median(values) for name, values in found.items()}


def _least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Coefficients, none negative, of least squared *relative* error, for short times are not to
    vanish beside long ones. The most negative one is left out until none is; a column that tells
    nothing the others do not gets nothing."""
    weight = 1 / np.maximum(np.array(values), 1e-9)
    matrix, wanted = np.array(rows) * weight[:, None], np.array(values) * weight
    used = _independent(matrix)
    while True:
        found, *_ = np.linalg.lstsq(matrix[:, used], wanted, rcond=None)
        if not len(found) or found.min() >= 0:
            break
        del used[int(found.argmin())]
    result = [0.0] * matrix.shape[1]
    for column, coefficient in zip(used, found, strict=True):
        result[column] = float(coefficient)
    return result


def _independent(matrix: NDArray[np.float64]) -> list[int]:
    used: list[int] = []
    for column in range(matrix.shape[1]):
        if np.linalg.matrix_rank(matrix[:, [*used, column]]) > len(used):
            used.append(column)
    return used
