"""Who may ask: whom the configuration declares, and whom the registry has beside them."""

from dataclasses import replace

from serve_app.control.book import Book, Change
from serve_app.feed import Update
from serve_app.tenancy.keys import Key
from serve_app.tenancy.roll import Roll
from serve_app.tenancy.tenant import Tenant


class Enrolment:
    """Puts both together; what is declared comes first.

    Attributes:
        declared: by the configuration.
    """

    def __init__(self, pepper: bytes) -> None:
        self.declared = Roll()
        self._pepper = pepper

    def everybody(self, book: Book) -> Roll:
        """All tenants and all keys that are not revoked."""
        tenants = {id_: account.tenant(self._pepper) for id_, account in book.accounts.items()}
        keys = {issued.fingerprint: issued.key() for issued in book.issued.values()}
        good = {print_: key for print_, key in keys.items() if key is not None}
        return Roll({**tenants, **self.declared.tenants}, {**good, **self.declared.keys})

    def tenant(self, id_: str, book: Book) -> Tenant | None:
        """One of all tenants."""
        account = book.accounts.get(id_)
        return self.declared.tenants.get(id_) or (account.tenant(self._pepper) if account else None)

    def told(self, change: Change, update: Update) -> Update:
        """The update of a change, with what it says of tenants and keys."""
        tenants: dict[str, Tenant | None] = dict.fromkeys(change.gone_accounts)
        tenants |= {account.id: account.tenant(self._pepper) for account in change.accounts}
        keys: dict[bytes, Key | None] = {gone.fingerprint: None for gone in change.gone_keys}
        keys |= {issued.fingerprint: issued.key() for issued in change.issued}
        declared = self.declared
        return replace(
            update,
            tenants={id_: declared.tenants.get(id_, tenant) for id_, tenant in tenants.items()},
            keys={print_: declared.keys.get(print_, key) for print_, key in keys.items()},
        )
