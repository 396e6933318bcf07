"""Limits that several sites share. A site is an application: a control, a database and gateways,
for example one in each region.

No request waits for other sites but the first of a tenant, and that one not for long. While they
cannot be heard of, limits go on from what was given last.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from serve_app.control.allotments import Allotments, Word
from serve_app.control.attendance import ROUND_S, Attendance
from serve_app.control.authority import Authority
from serve_app.control.board import TIMEOUT_S, Board, BoardAway
from serve_app.control.site_records import Post, Row, Spent, spent_elsewhere, spent_now
from serve_app.control.times import Times
from serve_app.tenancy.allot import Claim, Report, Shares, Subject
from serve_app.tenancy.division import Told
from serve_app.tenancy.parts import Part

LOGGER = logging.getLogger("ray.serve")
FIRST_S = 0.2
"""How long the first word on a subject is waited for: less than a gateway waits."""
CALM_S = 2.0
"""Seconds between two words on a subject of which no other site has anything."""
AWAY_S = 1.0
"""Seconds between two tries while Redis is away."""
BATCH = 64
TAKEN = "another application shares limits under this one's name; give each its own `limits.site`"


class Sites:
    """The limits of this site's tenants and keys, as one of several sites has them. Used from one
    event loop.

    Args:
        board: where sites write for each other, and this one's name.
        authority: divides what this site has among its gateways.
        parts: what this site has, as the authority reads it.
        spent: tokens a subject has spent here this day and this month.

    Attributes:
        apart: nothing is heard of other sites.
    """

    def __init__(
        self,
        board: Board,
        authority: Authority,
        parts: dict[Subject, Part],
        spent: Callable[[Subject], tuple[int, int]],
        times: Times,
    ) -> None:
        self._board = board
        self._site = board.site
        self._authority = authority
        self._parts = parts
        self._spent = spent
        self._times = times
        now = times.monotonic()
        self._attendance = Attendance(board.site, uuid.uuid4().hex, now)
        self._allotments = Allotments(board.site, self._attendance, authority, parts, now)
        self._changed: set[Subject] = set()
        self._wake = asyncio.Event()
        self._heard = asyncio.Condition()
        self._why: str | None = None
        self.apart = False

    async def share(self, report: Report) -> Shares:
        """Divide limits among gateways; those that are new here, as other sites have left them."""
        waits = self._authority.hear(report)
        due = (one for one, claim in report.claims.items() if self._is_due(one, claim))
        self._changed.update(report.released, due)
        if not waits:
            return {}
        await self._first_word(report.claims)
        return self._authority.answer(report)

    def recorded(self, subjects: Iterable[Subject]) -> None:
        """Tokens were spent; other sites are to hear of it."""
        self._changed.update(one for one in subjects if one in self._parts and self._is_due(one))

    def renew(self) -> None:
        """Tell all anew, lest it is forgotten. To be called every minute or so."""
        self._changed.update(self._parts)

    async def elsewhere(self, subject: Subject) -> tuple[Mapping[str, Told], tuple[int, int]]:
        """What other sites told of a subject, and what they spent of its tokens this day and this
        month; nothing while they cannot be heard of."""
        if not self.apart:
            with suppress(BoardAway, TimeoutError):
                async with asyncio.timeout(FIRST_S):
                    (row,) = await self._board.read([subject])
                others = self._attendance.counting(row.told, self._times.monotonic())
                return others, spent_elsewhere(row, self._site, self._spent_now(subject))
        return {}, (0, 0)

    async def go_on(self) -> None:
        """A round whenever one is due, for ever."""
        while True:
            began = self._times.monotonic()
            try:
                await self.round()
            except Exception:
                LOGGER.exception("limits were not shared with other sites")
            took_s = self._times.monotonic() - began
            with suppress(TimeoutError):
                async with asyncio.timeout(AWAY_S if self.apart else max(ROUND_S, took_s)):
                    await self._wake.wait()
            self._wake.clear()

    async def round(self) -> None:
        """Show that this site lives, see who else does, and settle with them what has changed."""
        try:
            await self._meet()
            if self._attendance.ours:
                self._be_together()
                await self._settle()
            else:
                self._be_apart(TAKEN if self._attendance.rival else None)
        except BoardAway as error:
            self._be_apart("Redis is away", error)
        await self._tell_who_waits()

    async def close(self) -> None:
        """Leave to other sites what no gateway of this one holds."""
        if self._attendance.ours and not self.apart:
            self._allotments.leave()
            self._changed.update(self._parts)
            with suppress(BoardAway, TimeoutError):
                async with asyncio.timeout(2 * TIMEOUT_S):
                    await self._settle()
                    await self._board.leave()
        await self._board.close()

    def _is_due(self, subject: Subject, claim: Claim | None = None) -> bool:
        """Whether others are to hear of a change; where nobody else has anything, not each time."""
        part = self._parts.get(subject)
        if part is None or not part.only or (claim is not None and claim.pressed):
            return True
        return self._times.monotonic() - part.at >= CALM_S

    async def _first_word(self, subjects: Iterable[Subject]) -> None:
        """Wait, not for long, until it is known what others have of these."""
        new = set(subjects) - self._parts.keys()
        if new and not self.apart:
            self._wake.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_S), self._heard:
                    await self._heard.wait_for(lambda: self.apart or new <= self._parts.keys())

    async def _tell_who_waits(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    async def _meet(self) -> None:
        beats, recalled = await self._board.meet(self._attendance.beat)
        self._attendance.look(beats, self._times.monotonic())
        self._changed.update(recalled)
        for subject in recalled:
            self._authority.recall(subject)
        if self._attendance.lost:
            self._allotments.learn(self._times.monotonic())
            self.renew()

    async def _settle(self) -> None:
        """Subjects that somebody waits for come first."""
        subjects = sorted(self._changed, key=self._parts.__contains__)
        for begin in range(0, len(subjects), BATCH):
            await self._settle_some(subjects[begin : begin + BATCH])
            await self._tell_who_waits()

    async def _settle_some(self, subjects: list[Subject]) -> None:
        """Say what this site has of these, and take what it is given. What could not be said is
        said later."""
        words: list[Word | None] = []

        def posts(rows: list[Row]) -> list[Post]:
            nonlocal words
            words = [*map(self._word, subjects, rows)]
            return [*map(self._post, subjects, rows, words)]

        self._changed.difference_update(subjects)
        written = False
        try:
            written = await self._board.write(subjects, posts)
        finally:
            if not written:
                self._changed.update(subjects)
        now = self._times.monotonic()
        for subject, word in zip(subjects, words, strict=True) if written else ():
            if word is None:
                self._changed.add(subject)
            else:
                self._allotments.accept(subject, word, now)

    def _word(self, subject: Subject, row: Row) -> Word | None:
        spent = spent_elsewhere(row, self._site, self._spent_now(subject))
        return self._allotments.word(subject, row, spent, self._times.monotonic())

    def _post(self, subject: Subject, row: Row, word: Word | None) -> Post:
        """What is written, with what was spent here if others do not know."""
        ours, post = self._spent_now(subject), word.post if word else Post()
        known = row.spent.get(self._site) or replace(ours, of_day=0, of_month=0)
        return post if ours == known else replace(post, spent=ours)

    def _spent_now(self, subject: Subject) -> Spent:
        return spent_now(self._spent(subject), self._times.unix())

    def _be_together(self) -> None:
        if self.apart:
            if self._why is not None:
                LOGGER.info("limits are shared with other sites again")
            self.apart, self._why = False, None
            self.renew()

    def _be_apart(self, why: str | None, error: BoardAway | None = None) -> None:
        """Go on with what was given, and say why, once; nothing is said while it may be only that
        a process before this one is not known to have ended."""
        if not self.apart:
            self.apart = True
            self._allotments.cut_off()
        if why is not None and why != self._why:
            level = logging.WARNING if error else logging.ERROR
            LOGGER.log(level, "limits go on from the last share: %s", error or why)
            self._why = why
