"""One simulated request, and what became of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as a workload has it.

    Attributes:
        at_s: when it comes.
        adapter: its adapter's number, None for the base.
        prompt: tokens of its prompt.
        output: tokens it will generate, at least one.
        tenant: whose it is, by number.
    """

    at_s: float
    adapter: int | None
    prompt: int
    output: int
    tenant: int = 0


@dataclass(slots=True, eq=False)
class Request:
    """A request on its way. Times are simulated seconds, None until they happen.

    Attributes:
        adapter: its version's name, None for the base.
        left: prompt tokens not computed yet.
        cold: it came to a replica that did not hold its adapter.
        shed: it was refused.
        lost: its replica died when it had begun to answer.
        first: its tenant has less than its share: no engine keeps it waiting for others' prompts.
    """

    arrival: Arrival
    adapter: str | None
    left: int = 0
    first_s: float | None = None
    done_s: float | None = None
    cold: bool = False
    shed: bool = False
    lost: bool = False
    first: bool = False

    @property
    def first_token_s(self) -> float | None:
        """Seconds from its arrival to its first token."""
        return None if self.first_s is None else self.first_s - self.arrival.at_s

    @property
    def per_token_s(self) -> float | None:
        """Seconds a token after the first, on average."""
        if self.first_s is None or self.done_s is None:
            return None
        return (self.done_s - self.first_s) / max(1, self.arrival.output - 1)

    def within(self, first_token_s: float, per_token_s: float) -> bool:
        """Whether it was answered whole, and as fast as this."""
        first, each = self.first_token_s, self.per_token_s
        if first is None or each is None:
            return False
        return first <= first_token_s and each <= per_token_s
