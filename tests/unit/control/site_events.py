"""Whatever may happen to sites that share limits, in any order."""

from serve_app.control.attendance import NAMESAKE_S, ROUND_S
from serve_app.tenancy.allot import SILENT_S, Report, Shares
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Ask
from tests.unit.control.several_sites import Memory, MemoryBoard, Several, Site


class Events:
    """Three sites of two gateways whose words are late, lost or overtaken; by name and place."""

    def __init__(self, limits: Limits) -> None:
        self._memory = Memory()
        boards = [MemoryBoard(self._memory, f"site-{n}") for n in range(3)]
        self._boards = boards
        self.several = Several(limits, boards, gateways=2)
        self._running: list[list[tuple[Ask, int]]] = [[] for _ in self.several.gateways]
        self._reports: list[list[Report]] = [[] for _ in self.several.gateways]
        self._answers: list[list[tuple[int, Shares]]] = [[] for _ in self.several.gateways]

    async def send(self, place: int, _amount: int) -> None:
        _, gateway = self.several.gateways[place]
        if not gateway.waiting:
            self._reports[place].append(gateway.report(self.several.clock.now))

    async def arrive(self, place: int, amount: int) -> None:
        site, _ = self.several.gateways[place]
        if reports := self._reports[place]:
            report = reports.pop(amount % len(reports))
            self._answers[place].append((report.number, await site.share(report)))

    async def answer(self, place: int, _amount: int) -> None:
        if self._answers[place]:
            _, gateway = self.several.gateways[place]
            gateway.hear(*self._answers[place].pop(), self.several.clock.now)

    async def give_up(self, place: int, _amount: int) -> None:
        self.several.gateways[place][1].waiting = False

    async def ask(self, place: int, amount: int) -> None:
        _, gateway = self.several.gateways[place]
        now = self.several.clock.now
        if gateway.offer(now, ask := Ask(amount, None)):
            self._running[place].append((ask, int(now)))

    async def end(self, place: int, _amount: int) -> None:
        if self._running[place]:
            ask, second = self._running[place].pop()
            tally = self.several.gateways[place][1].tally
            tally.settle(ask, second, ask.tokens, self.several.clock.now)

    async def time_passes(self, _place: int, amount: int) -> None:
        await self.several.passes(amount / 9 * SILENT_S)

    async def site_is_silent(self, place: int, amount: int) -> None:
        await self.several.passes(amount, silent=self._site(place))

    async def round(self, place: int, _amount: int) -> None:
        await self._site(place).sites.round()

    async def round_unheard(self, place: int, _amount: int) -> None:
        await self._round(place, "unheard")

    async def round_lost(self, place: int, _amount: int) -> None:
        await self._round(place, "lost")

    async def sync(self, place: int, _amount: int) -> None:
        site, gateway = self.several.gateways[place]
        await site.sync(gateway)

    async def control_begins_anew(self, place: int, _amount: int) -> None:
        """Calls to the one before have failed. Gateways tell the next one what they hold before
        it has answered any of them."""
        site = self._site(place)
        site.begin()
        for number, (its, gateway) in enumerate(self.several.gateways):
            if its is site:
                gateway.waiting = False
                self._reports[number].clear()
                self._answers[number].clear()
        await self.several.passes(NAMESAKE_S + 2 * ROUND_S)
        for gateway in site.gateways:
            await site.tell(gateway)
            await self.several.passes(ROUND_S)
        for gateway in site.gateways:
            await site.sync(gateway)

    async def redis_forgets(self, _place: int, _amount: int) -> None:
        self._memory.forget()

    def _site(self, place: int) -> Site:
        return self.several.gateways[place][0]

    async def _round(self, place: int, fate: str) -> None:
        board = self._boards[place // 2]
        board.fate = fate
        await self._site(place).sites.round()
        board.fate = "done"
