"""What one gateway has sent where: its calls that are placed and not over, by replica."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Booking:
    replica: str
    version: str | None


@dataclass(slots=True)
class Page:
    """The gateway's calls on one replica.

    Attributes:
        calls: how many there are.
        by_version: how many of each adapter's.
        tokens_since: prompt tokens of those sent since the replica told its state.
    """

    calls: int = 0
    by_version: Counter[str] = field(default_factory=Counter)
    tokens_since: int = 0


class Books:
    """Every call is booked once at most, whatever is said of it twice."""

    def __init__(self) -> None:
        self._booked: dict[int, Booking] = {}
        self._pages: dict[str, Page] = {}

    def __len__(self) -> int:
        return len(self._booked)

    def page(self, replica: str) -> Page:
        """What is booked on ``replica``."""
        return self._pages.get(replica) or Page()

    def book(self, number: int, booking: Booking, prompt_tokens: int) -> None:
        """Call ``number`` is on its way."""
        self._booked[number] = booking
        page = self._pages.setdefault(booking.replica, Page())
        page.calls += 1
        page.tokens_since += prompt_tokens
        if booking.version is not None:
            page.by_version[booking.version] += 1

    def unbook(self, number: int) -> Booking | None:
        """Call ``number`` is over, or goes elsewhere; None if it is not booked."""
        booking = self._booked.pop(number, None)
        if booking is None:
            return None
        page = self._pages[booking.replica]
        page.calls -= 1
        if booking.version is not None:
            page.by_version[booking.version] -= 1
            if not page.by_version[booking.version]:
                del page.by_version[booking.version]
        if not page.calls:
            del self._pages[booking.replica]
        return booking

    def told(self, replica: str) -> None:
        """The replica has told its state, which has in it whatever was sent before."""
        if replica in self._pages:
            self._pages[replica].tokens_since = 0
