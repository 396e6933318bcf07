"""Who says how much of each limit a gateway may use. Used from one event loop.

It keeps nothing: what gateways hold they tell, and a new authority learns it from them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf

from serve_app.tenancy.allot import NOTHING, SILENT_S, Claim, Report, Share, Shares, Subject
from serve_app.tenancy.division import STALE_S, Told, adapters_of, dead, divide, late, together
from serve_app.tenancy.parts import Part, alone, within
from serve_app.tenancy.window import WINDOW_S


@dataclass(slots=True)
class Reporter:
    """A gateway: number of its last report, when that came, and what it is to tell anew."""

    number: int
    at: float
    recalled: set[Subject]


class Authority:
    """Divides limits among the gateways that report.

    Args:
        clock: seconds that never go back.
        spent: tokens a subject has spent this day and this month.
        learning_s: within so many seconds from now gateways tell what they hold.
        parts: what this site has of each limit, as it changes; None where it is the only one.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        spent: Callable[[Subject], tuple[int, int]],
        learning_s: float,
        parts: Mapping[Subject, Part] | None = None,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._learnt_at = clock() + learning_s
        self._parts = parts
        self._reporters: dict[str, Reporter] = {}
        self._told: defaultdict[Subject, dict[str, Told]] = defaultdict(dict)

    def share(self, report: Report) -> Shares:
        """What the gateway may use of all it has claimed; and of what it should claim anew.

        A report that was overtaken by a later one changes nothing.
        """
        return self.answer(report) if self.hear(report) else {}

    def hear(self, report: Report) -> bool:
        """Take in what a gateway says; whether it waits for an answer."""
        now, gateway = self._clock(), report.gateway
        reporter = self._reporters.setdefault(gateway, Reporter(-1, now, set()))
        if report.number <= reporter.number:
            return False
        reporter.number, reporter.at = report.number, now
        for subject in report.released:
            self._told.get(subject, {}).pop(gateway, None)
        for subject, claim in report.claims.items():
            if report.leaving:
                claim = replace(claim, held=NOTHING, wanted=NOTHING)  # noqa: PLW2901
            self._told[subject][gateway] = Told(claim, NOTHING, now)
        return not report.leaving

    def answer(self, report: Report) -> Shares:
        """What is given to a gateway that was heard; nothing if it was heard again since."""
        reporter = self._reporters.get(report.gateway)
        if reporter is None or reporter.number != report.number:
            return {}
        shares: dict[Subject, Share | None] = {
            subject: self._share(report.gateway, subject, claim)
            for subject, claim in report.claims.items()
        }
        recalled, reporter.recalled = reporter.recalled, set()
        return {**dict.fromkeys(recalled - report.released), **shares}

    def claim(self, subject: Subject) -> Claim | None:
        """What all gateways together claim; None if there are none that know the subject."""
        return together(self._others(subject).values())

    def recall(self, subject: Subject) -> None:
        """Have all gateways tell anew what they have of a subject."""
        for gateway in self._told.get(subject, ()):
            self._reporters[gateway].recalled.add(subject)

    def used(self, subject: Subject, others: Mapping[str, Told] | None = None) -> tuple[int, ...]:
        """What all gateways, and ``others``, said they use, in the order of ``MEASURES``, and what
        is recorded here of ``BUDGETS``."""
        told = [*self._others(subject).values(), *(others or {}).values()]
        requests, tokens, concurrent, _ = map(
            sum, zip(NOTHING, *(one.claim.used for one in told), strict=True)
        )
        return requests, tokens, concurrent, len(adapters_of(told)), *self._spent(subject)

    def sweep(self) -> None:
        """Forget gateways that have said nothing for a whole window, and subjects nobody has."""
        for gateway in [id_ for id_ in self._reporters if self._is_silent(id_, WINDOW_S)]:
            for told in self._told.values():
                told.pop(gateway, None)
            del self._reporters[gateway]
        for subject in [one for one, told in self._told.items() if not told]:
            del self._told[subject]

    def _share(self, gateway: str, subject: Subject, claim: Claim) -> Share:
        now, others = self._clock(), self._others(subject, but=gateway)
        part = self._part(subject)
        share = divide(
            gateway,
            claim,
            others,
            most=part.share.allowance if part else None,
            learning=now < self._learnt_at,
            spent=self._spent(subject),
            fresh=not (claim.pressed and self._recall(subject, others, part, now)),
        )
        self._told[subject][gateway].given = share.allowance
        return within(share, part.share) if part else share

    def _part(self, subject: Subject) -> Part | None:
        """What this site has, if it is not the only one."""
        if self._parts is None:
            return None
        part = self._parts.get(subject)
        if part is None and (claim := self.claim(subject)):
            return Part(alone(claim), inf)
        return part

    def _recall(
        self, subject: Subject, others: Mapping[str, Told], part: Part | None, now: float
    ) -> bool:
        """Have those tell anew who have not for a while; whether what is known is too old."""
        late_ones = [id_ for id_ in late(others, now) if not self._is_silent(id_)]
        for id_ in late_ones:
            self._reporters[id_].recalled.add(subject)
        return bool(late_ones) or (part is not None and now - part.at > STALE_S)

    def _others(self, subject: Subject, but: str | None = None) -> dict[str, Told]:
        """What gateways have told that still counts."""
        told = self._told.get(subject, {})
        return {
            id_: dead(one) if self._is_silent(id_) else one
            for id_, one in told.items()
            if id_ != but and not self._is_silent(id_, WINDOW_S)
        }

    def _is_silent(self, gateway: str, for_s: float = SILENT_S) -> bool:
        return self._clock() - self._reporters[gateway].at > for_s
