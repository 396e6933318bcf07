"""What one of several sites has of each limit that they share. Knows nothing of Redis.

A site is among sites what a gateway is among gateways: it tells what it has, and is given what it
may have. But nobody gives: each site divides for itself, by what all have told, and what it writes
counts only if nobody else has written meanwhile.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf

from serve_app.control.attendance import Attendance
from serve_app.control.authority import Authority
from serve_app.control.site_records import Post, Row
from serve_app.tenancy.allot import NOTHING, SILENT_S, Claim, Share, Subject
from serve_app.tenancy.division import Told, divide, late, least, most
from serve_app.tenancy.parts import Part, all_but_a_part, at_least, cut_off


@dataclass(frozen=True, slots=True)
class Word:
    """What a site says of one subject.

    Attributes:
        share: what it may use once that is written; None where it has nothing.
        only: no other site has anything.
    """

    post: Post
    share: Share | None = None
    only: bool = False


class Allotments:
    """What this site has.

    Args:
        attendance: the sites.
        authority: divides what this one has among its gateways.
        parts: what it has, as the authority reads it.
        now: when it begins, in seconds.
    """

    def __init__(
        self,
        site: str,
        attendance: Attendance,
        authority: Authority,
        parts: dict[Subject, Part],
        now: float,
    ) -> None:
        self._site = site
        self._attendance = attendance
        self._authority = authority
        self._parts = parts
        self._leaving = False
        self.learn(now)

    def learn(self, now: float) -> None:
        """From now on it takes a while until all have told what they hold."""
        self._learnt_at = now + SILENT_S

    def word(self, subject: Subject, row: Row, spent: tuple[int, int], now: float) -> Word | None:
        """What to say of a subject; None if that is for later.

        Args:
            row: what all sites have written of it.
            spent: tokens elsewhere, this day and this month.
        """
        claim, learning = self._claim(subject), now < self._learnt_at
        forgotten = [site for site in row.told if not self._attendance.is_counting(site)]
        if claim is None:
            return None if learning else self._let_go(subject, forgotten)
        if learning and self._site in row.told:
            claim = at_least(claim, row.told[self._site])
        others = self._attendance.counting(row.told, now)
        stale = late(others, now)
        share = divide(
            self._site,
            claim,
            others,
            most=None if others or claim.pressed else all_but_a_part(claim),
            learning=learning,
            spent=spent,
            fresh=not (claim.pressed and stale),
        )
        given = NOTHING if self._leaving else share.allowance
        told = Told(claim, given, float(self._attendance.number))
        recalled = self._recalled(subject, stale, pressed=claim.pressed)
        return Word(Post(told, None, forgotten, recalled), share, only=not others)

    def accept(self, subject: Subject, word: Word, now: float) -> None:
        """What was said is written. Gateways that hold more than is left must hear of it."""
        if word.share is None or word.post.told is None or self._leaving:
            return
        self._parts[subject] = Part(word.share, now, word.only)
        pairs = zip(word.post.told.claim.held, word.share.allowance, strict=True)
        if any(held > given for held, given in pairs):
            self._authority.recall(subject)

    def cut_off(self) -> None:
        """No word comes from other sites: go on with what was given."""
        for subject, part in self._parts.items():
            claim = self._authority.claim(subject)
            limits = claim.limits if claim else (None,) * len(NOTHING)
            self._parts[subject] = Part(cut_off(part.share, limits), inf)

    def leave(self) -> None:
        """Keep no more than gateways hold, which go on while nobody speaks for this site."""
        self._leaving = True
        for subject, part in self._parts.items():
            claim = self._authority.claim(subject)
            held = least(part.share.allowance, claim.held) if claim else NOTHING
            self._parts[subject] = Part(replace(part.share, allowance=held), inf)

    def _claim(self, subject: Subject) -> Claim | None:
        """What gateways hold, or may still be given, is held."""
        claim, part = self._authority.claim(subject), self._parts.get(subject)
        if claim is None or part is None:
            return claim
        return replace(claim, held=most(claim.held, part.share.allowance))

    def _recalled(self, subject: Subject, stale: Collection[str], *, pressed: bool) -> list[str]:
        """Who should tell anew: of what is new here all, for each may think it is the only one."""
        there = self._attendance.others()
        if subject not in self._parts:
            return there
        return [site for site in there if site in stale] if pressed else []

    def _let_go(self, subject: Subject, forgotten: list[str]) -> Word:
        """From here on this site has nothing, though that is not written yet."""
        self._parts.pop(subject, None)
        return Word(Post(forgotten=[*forgotten, self._site]))
