"""Control's desk for tenants, keys and grants: commands in, answers out."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace

from serve_app.adapters.commands import Answer
from serve_app.control.account import Issued
from serve_app.control.enrolment import Enrolment
from serve_app.control.issuing import good_key, key_of, made, must_be_tenant, rotated, swept
from serve_app.control.ledger import Ledger
from serve_app.control.records import Json, page
from serve_app.control.store import Store
from serve_app.control.tenant_records import (
    declared_key_record,
    deleted_record,
    grant_record,
    key_record,
    limits_record,
    tenant_record,
)
from serve_app.control.tenants import decided
from serve_app.errors import NotFound, PermissionDenied
from serve_app.tenancy.allot import Subject
from serve_app.tenancy.commands import (
    ChangeKey,
    KeyMaking,
    ListGrants,
    ListKeys,
    ListTenants,
    MakeKey,
    PutGrant,
    PutLimits,
    PutTenant,
    RemoveGrant,
    RemoveTenant,
    RevokeKey,
    ShowKey,
    ShowLimits,
    ShowTenant,
    TenantChange,
    TenantCommand,
    TenantQuestion,
)
from serve_app.tenancy.keys import fingerprint
from serve_app.tenancy.secrets import key_id, new_key


class Clerk:
    """Answers for who may ask.

    Args:
        pepper: under which keys are hashed.
        unix: the time of day, in seconds.
        in_use: what a tenant uses of its limits, in the order of ``allot.LIMITS``.
    """

    def __init__(
        self,
        ledger: Ledger,
        enrolment: Enrolment,
        store: Store,
        pepper: bytes,
        unix: Callable[[], float],
        in_use: Callable[[Subject], Awaitable[tuple[int, ...]]],
    ) -> None:
        self._ledger = ledger
        self._enrolment = enrolment
        self._store = store
        self._pepper = pepper
        self._unix = unix
        self._in_use = in_use
        self._used: dict[str, int] = {}

    async def answer(self, command: TenantCommand) -> Answer:
        """What came of the command.

        Raises:
            ApiError: it is refused.
        """
        if not command.actor.admin:
            raise PermissionDenied("This key may not use the admin API.")
        if isinstance(command, KeyMaking):
            return await self._issue(command)
        if isinstance(command, TenantQuestion):
            return Answer(200, await self._told(command), self._ledger.book.revision)
        return await self._change(command)

    def used(self, keys: dict[str, int]) -> None:
        """Keys were used, last at these unix times in seconds by id."""
        for id_, at in keys.items():
            self._used[id_] = max(at, self._used.get(id_, 0))

    async def sweep(self) -> None:
        """Write down when keys were used last, and forget keys that have not been good for long.

        Raises:
            RegistryUnavailable: the database would not take it.
        """
        if swept(self._ledger.book, self._now()) is not None:
            await self._ledger.write(lambda book, _revision: swept(book, self._now()))
        used, self._used = self._used, {}
        issued = self._ledger.book.issued
        news = {id_: at for id_, at in used.items() if id_ in issued}
        if not news:
            return
        try:
            await self._store.used(news)
        except BaseException:
            self.used(used)
            raise
        for id_, at in news.items():
            issued[id_] = replace(issued[id_], last_used=at)

    async def _issue(self, command: KeyMaking) -> Answer:
        """Only this answer ever has the key in it."""
        key, now, declared = new_key(), self._now(), self._enrolment.declared
        issued = self._issued(command, key, now)
        revision = await self._ledger.write(
            lambda book, _revision: (
                made(command, issued, book, declared)
                if isinstance(command, MakeKey)
                else rotated(command, issued, book, declared, now)
            )
        )
        return Answer(201, {**key_record(issued, now), "key": key}, revision)

    def _issued(self, command: KeyMaking, key: str, now: int) -> Issued:
        id_ = key_id(key)
        assert id_ is not None
        blank = Issued(id_, "", fingerprint(key, self._pepper), now, command.actor.tenant)
        if isinstance(command, MakeKey):
            lasts = command.expires_in_s
            return replace(
                blank,
                tenant=command.tenant,
                label=command.label,
                scopes=command.scopes,
                expires=None if lasts is None else now + lasts,
                limits=command.limits,
            )
        before = good_key(command.id, self._ledger.book, self._enrolment.declared, now)
        return replace(
            blank,
            tenant=before.tenant,
            label=before.label,
            scopes=before.scopes,
            limits=before.limits,
            rotated_from=before.id,
        )

    async def _change(self, command: TenantChange) -> Answer:
        is_new = isinstance(command, PutTenant) and command.id not in self._ledger.book.accounts
        revision = await self._ledger.write(
            lambda book, _revision: decided(command, book, self._enrolment.declared, self._now())
        )
        return Answer(201 if is_new else 200, await self._changed(command), revision)

    async def _changed(self, command: TenantChange) -> Json:
        match command:
            case PutTenant():
                return self._tenant(command.id)
            case RemoveTenant():
                return deleted_record(command.id, "tenant")
            case PutLimits():
                return await self._limits(command.tenant)
            case ChangeKey() | RevokeKey():
                return self._key(command.id)
            case PutGrant():
                return grant_record(command.adapter, command.tenant)
            case RemoveGrant():
                return deleted_record(f"{command.adapter}/{command.tenant}", "grant")

    async def _told(self, question: TenantQuestion) -> Json:
        match question:
            case ShowTenant():
                return self._tenant(question.id)
            case ShowLimits():
                return await self._limits(question.tenant)
            case ShowKey():
                return self._key(question.id)
            case ListTenants():
                ids = {*self._ledger.book.accounts, *self._enrolment.declared.tenants}
                return page(map(self._tenant, _after(ids, question.after)), question.limit)
            case ListKeys():
                ids = self._key_ids(question.tenant)
                return page(map(self._key, _after(ids, question.after)), question.limit)
            case ListGrants():
                return page(self._grants(question), question.limit)

    def _tenant(self, id_: str) -> Json:
        book, declared = self._ledger.book, self._enrolment.declared
        must_be_tenant(id_, book, declared)
        account = None if id_ in declared.tenants else book.accounts[id_]
        tenant = account.tenant(self._pepper) if account else declared.tenants[id_]
        now = self._now()
        good = sum(issued.state(now) == "active" for issued in book.issued_to(id_))
        theirs = (key for key in declared.keys.values() if key.tenant == id_)
        return tenant_record(tenant, account, good + sum(not key.is_over(now) for key in theirs))

    async def _limits(self, id_: str) -> Json:
        record = self._tenant(id_)
        return limits_record(id_, record["limits"], await self._in_use(("tenant", id_)))

    def _key(self, id_: str) -> Json:
        declared = self._enrolment.declared
        if id_ in declared.by_id:
            label = declared.labels.get(id_, "")
            return declared_key_record(declared.by_id[id_], label, self._now())
        return key_record(key_of(id_, self._ledger.book, declared), self._now())

    def _key_ids(self, tenant: str | None) -> set[str]:
        book, declared = self._ledger.book, self._enrolment.declared.keys.values()
        if tenant is None:
            return {*book.issued, *(key.id for key in declared)}
        must_be_tenant(tenant, book, self._enrolment.declared)
        mine = (issued.id for issued in book.issued_to(tenant))
        return {*mine, *(key.id for key in declared if key.tenant == tenant)}

    def _grants(self, question: ListGrants) -> Iterator[Json]:
        book = self._ledger.book
        names = [question.adapter] if question.adapter else book.names_after(None)
        for name in names:
            adapter = book.adapters.get(name)
            if adapter is None and question.adapter:
                raise NotFound(f"There is no adapter `{name}`.", code="adapter_not_found")
            for tenant in sorted(adapter.grants if adapter else ()):
                record = grant_record(name, tenant)
                if question.tenant in (None, tenant) and record["id"] > (question.after or ""):
                    yield record

    def _now(self) -> int:
        return int(self._unix())


def _after(ids: Iterable[str], after: str | None) -> list[str]:
    return sorted(id_ for id_ in ids if after is None or id_ > after)
