"""Usage at control: recorded once, told to those who may see it, and reckoned against budgets."""

from collections.abc import Callable

from serve_app.adapters.commands import Answer
from serve_app.control.store import Store
from serve_app.control.sums import DAY_S, Json, begin_of_day, begin_of_month, usage_record
from serve_app.control.usage_store import UsageStore
from serve_app.tenancy.allot import Subject
from serve_app.tenancy.usage import Batch, ShowUsage


class UsageBook:
    """Everything that was used.

    Args:
        unix: the time of day, in seconds.
        requests_days, sums_days: single requests, and sums by the hour, are kept so long.
        used: told of each key's last use, unix seconds by id.
    """

    def __init__(
        self,
        store: Store,
        unix: Callable[[], float],
        requests_days: int,
        sums_days: int,
        used: Callable[[dict[str, int]], None],
    ) -> None:
        self._store = UsageStore(store)
        self._unix = unix
        self._requests_s = requests_days * DAY_S
        self._sums_s = sums_days * DAY_S
        self._used = used
        self._days: dict[tuple[Subject, int], int] = {}
        self._months: dict[tuple[Subject, int], int] = {}

    async def load(self) -> None:
        """Learn what was spent of this month's budgets.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        for row in await self._store.spent(begin_of_month(int(self._unix()))):
            self._spend(row["tenant"], row["key"], int(row["hour"]), int(row["tokens"]))

    async def record(self, batch: Batch) -> None:
        """Write a batch down, once.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written; it may come again.
        """
        if not await self._store.record(batch, int(self._unix())):
            return
        for one in batch.records:
            tokens = one.prompt_tokens + one.completion_tokens
            self._spend(one.tenant, one.key, one.at, tokens)
        self._used({one.key: one.at for one in sorted(batch.records, key=lambda r: r.at)})

    def spent(self, subject: Subject) -> tuple[int, int]:
        """Tokens of a tenant or a key this day and this month, UTC."""
        now = int(self._unix())
        day, month = begin_of_day(now), begin_of_month(now)
        return self._days.get((subject, day), 0), self._months.get((subject, month), 0)

    @property
    def forgotten_before(self) -> int:
        """Single requests that are older, in unix seconds, are let go of."""
        return int(self._unix()) - self._requests_s

    async def answer(self, question: ShowUsage) -> Answer:
        """Sums, for one who may see them: a tenant sees its own alone.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        rows = await self._store.sums(question)
        told = [usage_record(row, question.by, question.interval) for row in rows]
        page = told[: question.limit]
        more = len(told) > question.limit
        body: Json = {
            "object": "list",
            "data": page,
            "has_more": more,
            "next_offset": question.offset + len(page) if more else None,
        }
        return Answer(200, body)

    async def sweep(self) -> None:
        """Let go of what is too old.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        now = int(self._unix())
        month = begin_of_month(now)
        self._days = {k: n for k, n in self._days.items() if k[1] >= begin_of_day(now) - DAY_S}
        self._months = {k: n for k, n in self._months.items() if k[1] >= month}
        await self._store.forget(self.forgotten_before, now - self._sums_s)

    def _spend(self, tenant: str, key: str, at: int, tokens: int) -> None:
        for subject in (("tenant", tenant), ("key", key)):
            day, month = (subject, begin_of_day(at)), (subject, begin_of_month(at))
            self._days[day] = self._days.get(day, 0) + tokens
            self._months[month] = self._months.get(month, 0) + tokens
