"""Gateways that share limits, without what is around them: time and messages are the test's."""

from dataclasses import dataclass, field

from serve_app.control.authority import Authority
from serve_app.tenancy.allot import SILENT_S, Report, Shares, Subject
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Ask, Tally

SUBJECT: Subject = ("tenant", "acme")
LEARNING_S = 1.5


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Gateway:
    """One gateway's tally.

    Attributes:
        number: of its last report.
        waiting: for the answer to that one.
    """

    id: str
    tally: Tally
    admitted: list[float] = field(default_factory=list)
    number: int = 0
    waiting: bool = False

    def report(self, now: float) -> Report:
        self.number, self.waiting = self.number + 1, True
        return Report(self.id, self.number, {SUBJECT: self.tally.claim(now)})

    def hear(self, number: int, shares: Shares, now: float) -> None:
        if number == self.number and self.waiting:
            self.waiting = False
            if (share := shares.get(SUBJECT)) is not None:
                self.tally.hear(share, now)

    def sync(self, authority: Authority, now: float, *, lost: bool = False) -> None:
        shares = authority.share(self.report(now))
        if not lost:
            self.hear(self.number, shares, now)

    def beat(self, authority: Authority) -> Shares:
        self.number, self.waiting = self.number + 1, False
        return authority.share(Report(self.id, self.number))

    def offer(self, now: float, ask: Ask) -> bool:
        self.tally.want(ask, now)
        if self.tally.short(ask, now) is not None:
            return False
        self.tally.charge(ask, now)
        self.admitted.append(now)
        return True


def an_authority(clock: Clock) -> Authority:
    return Authority(clock, lambda _: (7, 8), LEARNING_S)


def a_site(limits: Limits, gateways: int) -> tuple[Clock, Authority, list[Gateway]]:
    clock = Clock()
    authority = an_authority(clock)
    clock.now += 2 * LEARNING_S
    return clock, authority, [Gateway(f"g{n}", Tally(limits, clock.now)) for n in range(gateways)]


class Wires:
    """Three gateways whose reports arrive in any order, long after they were given up, or never."""

    def __init__(self, limits: Limits) -> None:
        self.clock, self._authority, self.gateways = a_site(limits, 3)
        self._running: list[list[tuple[Ask, int]]] = [[], [], []]
        self._reports: list[list[Report]] = [[], [], []]
        self._answers: list[list[tuple[int, Shares]]] = [[], [], []]

    def send(self, place: int, _amount: int) -> None:
        if not self.gateways[place].waiting:
            self._reports[place].append(self.gateways[place].report(self.clock.now))

    def arrive(self, place: int, amount: int) -> None:
        if reports := self._reports[place]:
            report = reports.pop(amount % len(reports))
            self._answers[place].append((report.number, self._authority.share(report)))

    def answer(self, place: int, _amount: int) -> None:
        if self._answers[place]:
            self.gateways[place].hear(*self._answers[place].pop(), self.clock.now)

    def give_up(self, place: int, _amount: int) -> None:
        self.gateways[place].waiting = False

    def ask(self, place: int, amount: int) -> None:
        if self.gateways[place].offer(self.clock.now, ask := Ask(amount, None)):
            self._running[place].append((ask, int(self.clock.now)))

    def end(self, place: int, _amount: int) -> None:
        if self._running[place]:
            ask, second = self._running[place].pop()
            self.gateways[place].tally.settle(ask, second, ask.tokens, self.clock.now)

    def time_passes(self, _place: int, amount: int) -> None:
        self.clock.now += amount / 9 * SILENT_S
        for one in self.gateways:
            one.beat(self._authority)
