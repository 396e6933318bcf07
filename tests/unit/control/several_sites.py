"""Sites that share limits, each a real authority with gateways: time, messages and what becomes of
a write are the test's."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.control.attendance import ROUND_S, Beat
from serve_app.control.authority import Authority
from serve_app.control.board import Board, BoardAway
from serve_app.control.site_records import Post, Row, beats_in, row_in, written
from serve_app.control.sites import Sites
from serve_app.control.times import Times
from serve_app.tenancy.allot import SILENT_S, Report, Share, Shares, Subject
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.parts import Part
from serve_app.tenancy.tally import Ask, Tally
from tests.unit.control.sharing import LEARNING_S, SUBJECT, Clock, Gateway

Hash = dict[bytes, bytes]
Make = Callable[..., "Several"]
ASK = Ask(1, None)
LEARNT_S = SILENT_S + 1


@dataclass
class Memory:
    """What is kept where sites write."""

    sites: Hash = field(default_factory=dict)
    told: defaultdict[Subject, Hash] = field(default_factory=lambda: defaultdict(dict))
    spent: defaultdict[Subject, Hash] = field(default_factory=lambda: defaultdict(dict))
    recalled: defaultdict[str, set[Subject]] = field(default_factory=lambda: defaultdict(set))

    def forget(self) -> None:
        for kept in (self.sites, self.told, self.spent, self.recalled):
            kept.clear()


@dataclass
class MemoryBoard:
    """A board in memory, of one site.

    Attributes:
        fate: of the next write: it is done; done, though nobody hears of it; or lost.
    """

    memory: Memory
    site: str
    fate: str = "done"

    async def meet(self, beat: Beat | None) -> tuple[dict[str, Beat], list[Subject]]:
        found = beats_in(self.memory.sites)
        if beat is None:
            return found, []
        self.memory.sites[self.site.encode()] = written(beat)
        return found, [*self.memory.recalled.pop(self.site, set())]

    async def read(self, subjects: Sequence[Subject]) -> list[Row]:
        return [row_in(self.memory.told[one], self.memory.spent[one]) for one in subjects]

    async def write(
        self, subjects: Sequence[Subject], posts: Callable[[list[Row]], list[Post]]
    ) -> bool:
        fate, self.fate = self.fate, "done"
        for subject, post in zip(subjects, posts(await self.read(subjects)), strict=True):
            if fate != "lost":
                self._put(subject, post)
        if fate != "done":
            raise BoardAway(fate)
        return True

    async def leave(self) -> None:
        self.memory.sites.pop(self.site.encode(), None)

    async def close(self) -> None: ...

    def _put(self, subject: Subject, post: Post) -> None:
        for site in post.forgotten:
            self.memory.told[subject].pop(site.encode(), None)
        if post.told is not None:
            self.memory.told[subject][self.site.encode()] = written(post.told)
        if post.spent is not None:
            self.memory.spent[subject][self.site.encode()] = written(post.spent)
        for site in post.recalled:
            self.memory.recalled[site].add(subject)


class Site:
    """One site: its process of control, which may begin anew, and its gateways."""

    def __init__(self, board: Board | MemoryBoard, clock: Clock, tallies: list[Tally]) -> None:
        self.board = board
        self.clock = clock
        self.spent = (0, 0)
        self.gateways = [Gateway(f"{board.site}-{n}", tally) for n, tally in enumerate(tallies)]
        self.begin()

    def begin(self) -> None:
        """A process of control begins."""
        self.parts: dict[Subject, Part] = {}
        self.authority = Authority(self.clock, self._spent, LEARNING_S, self.parts)
        times = Times(unix=self.clock, monotonic=self.clock)
        board: Any = self.board
        self.sites = Sites(board, self.authority, self.parts, self._spent, times)

    def _spent(self, _subject: Subject) -> tuple[int, int]:
        return self.spent

    async def share(self, report: Report) -> Shares:
        """The answer to a report; a first word can be said, and at once."""
        if self.sites.apart and report.claims.keys() - self.parts.keys():
            await self.sites.round()
        sharing = asyncio.ensure_future(self.sites.share(report))
        await asyncio.sleep(0)
        if not sharing.done():
            await self.sites.round()
        return await sharing

    async def tell(self, gateway: Gateway) -> None:
        """It is heard, but does not hear the answer."""
        await self.share(gateway.report(self.clock.now))
        gateway.waiting = False

    @property
    def part(self) -> Share:
        """What this site may use."""
        return self.parts[SUBJECT].share

    async def sync(self, gateway: Gateway) -> None:
        shares = await self.share(gateway.report(self.clock.now))
        gateway.hear(gateway.number, shares, self.clock.now)


class Several:
    """Sites that share the limits of one tenant."""

    def __init__(
        self, limits: Limits, boards: Sequence[Board | MemoryBoard], gateways: int
    ) -> None:
        self.clock = Clock()
        self.sites = [
            Site(board, self.clock, [Tally(limits, self.clock.now) for _ in range(gateways)])
            for board in boards
        ]
        self.gateways = [(site, one) for site in self.sites for one in site.gateways]

    async def passes(self, seconds: float, silent: Site | None = None) -> None:
        """Time passes: gateways and sites show that they live, and say what they are asked for; but
        for one that is cut off from the others."""
        while seconds > 0:
            step = min(seconds, ROUND_S)
            seconds -= step
            self.clock.now += step
            for site, gateway in self.gateways:
                gateway.beat(site.authority)
            for site in self.sites:
                if site is not silent:
                    await site.sites.round()

    async def sync(self) -> None:
        """All gateways speak with their controls, and these with each other."""
        for site, gateway in self.gateways:
            await site.sync(gateway)
        await self.passes(ROUND_S)

    def used(self) -> list[int]:
        """Over all gateways, in the order of ``MEASURES``."""
        used = [gateway.tally.used(self.clock.now) for _, gateway in self.gateways]
        return [*map(sum, zip(*used, strict=True))]
