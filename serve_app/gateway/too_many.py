"""What clients are told of limits: a refusal, and how they stand. Pure."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from serve_app.errors import QuotaExceeded, TooManyRequests
from serve_app.tenancy.allot import DAY, MONTH, REQUESTS, TOKENS, Subject, shared_limits
from serve_app.tenancy.tally import Ask, Short, Tally

_WHAT = ("requests per minute", "tokens per minute", "requests at a time", "adapters at a time")
_HEADERS = ((REQUESTS, "requests"), (TOKENS, "tokens"))


def limited(
    subject: Subject, short: Short, ask: Ask, headers: dict[str, str], unix: float
) -> TooManyRequests | QuotaExceeded:
    """The 429 of a request that is kept out: what, how much is left, and when to come again."""
    kind, id_ = subject
    if short.measure in (DAY, MONTH):
        return _spent(f"{kind} `{id_}`", short, unix)
    needs = ask.tokens if short.measure == TOKENS else 1
    after_s = max(1, ceil(short.after_s))
    of = f"{kind} `{id_}` may use {short.limit} {_WHAT[short.measure]}"
    if short.never:
        error = TooManyRequests(f"This request needs {needs}, and {of}: ask for less.")
        error.headers["x-should-retry"] = "false"
    else:
        error = TooManyRequests(
            f"Rate limit reached: {of}, {short.left} are left and this request needs {needs}. "
            f"Try again in {after_s} s.",
            retry_after_s=after_s,
        )
    error.type = "tokens" if short.measure == TOKENS else "requests"
    error.headers |= headers
    return error


def _spent(who: str, short: Short, unix: float) -> QuotaExceeded:
    day = datetime.fromtimestamp(unix, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    is_day = short.measure == DAY
    anew = day + timedelta(days=1 if is_day else monthrange(day.year, day.month)[1] - day.day + 1)
    error = QuotaExceeded(
        f"The {who} has spent its {short.limit} tokens per {'day' if is_day else 'month'}; "
        f"they begin anew at {anew:%Y-%m-%d} 00:00 UTC. The operator of this service can raise it."
    )
    error.headers["Retry-After"] = str(ceil(anew.timestamp() - unix))
    return error


def standing(tallies: Sequence[Tally], now: float) -> dict[str, str]:
    """``x-ratelimit-*`` as OpenAI sends them, of the tightest of the limits there are."""
    headers: dict[str, str] = {}
    for measure, name in _HEADERS:
        left = [(tally.remaining(measure, now), tally) for tally in tallies]
        there = [(n, tally) for n, tally in left if n is not None]
        if there:
            least, tally = min(there, key=lambda one: one[0])
            headers[f"x-ratelimit-limit-{name}"] = str(shared_limits(tally.limits)[measure])
            headers[f"x-ratelimit-remaining-{name}"] = str(least)
            headers[f"x-ratelimit-reset-{name}"] = duration(tally.resets_s(measure, now))
    return headers


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: ``6m0s``, ``7s``, ``120ms``."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
