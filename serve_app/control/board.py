"""Where sites write for each other, in Redis. Only ids and numbers are there, never a key or a
prompt. All of it is under ``{prefix}``, whose braces keep it on one node of a cluster:

- ``:sites``: the last beat of each site, by site;
- ``:told:KIND:ID``: what each site has told of a tenant or a key, by site;
- ``:spent:KIND:ID``: what each has recorded of its tokens, by site;
- ``:recalled:SITE``: of what that site is to tell anew.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError

from serve_app.control.attendance import Beat
from serve_app.control.site_records import (
    Post,
    Row,
    Unreadable,
    beats_in,
    name_of,
    row_in,
    subject_of,
    written,
)
from serve_app.errors import ConfigError, ServeAppError
from serve_app.tenancy.allot import Subject

TIMEOUT_S = 0.5
TRIES = 8
BACK_OFF_S = 0.03
TOLD_KEPT_S = 300
SPENT_KEPT_S = 40 * 86_400
RECALLED = 1000


class BoardAway(ServeAppError):
    """Redis does not answer, or with what cannot be read."""


class Board:
    """What is written for, and by, one site. Every method raises ``BoardAway``.

    Attributes:
        site: the name of that site, which no other has.

    Raises:
        ConfigError: ``url`` has an option that Redis' client does not know.
    """

    def __init__(self, url: str, site: str, prefix: str) -> None:
        self._redis = _client(url)
        self.site = site
        self._prefix = f"{{{prefix}}}"

    async def meet(self, beat: Beat | None) -> tuple[dict[str, Beat], list[Subject]]:
        """The last beat of each site; with a beat of this one, which is written, also of what it is
        to tell anew."""
        sites, recalled = self._key("sites"), self._key("recalled", self.site)
        with _away():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(sites)
                if beat is not None:
                    pipe.spop(recalled, RECALLED)
                    pipe.hset(sites, self.site, written(beat))
                row, *answers = await pipe.execute()
            return beats_in(row), [*map(subject_of, answers[0] or ())] if answers else []

    async def read(self, subjects: Sequence[Subject]) -> list[Row]:
        """What is written of each."""
        with _away():
            async with self._redis.pipeline(transaction=False) as pipe:
                for subject in subjects:
                    pipe.hgetall(self._key("told", *subject))
                    pipe.hgetall(self._key("spent", *subject))
                rows = await pipe.execute()
            return [*map(row_in, rows[::2], rows[1::2])]

    async def write(
        self, subjects: Sequence[Subject], posts: Callable[[list[Row]], list[Post]]
    ) -> bool:
        """Write what ``posts`` makes of what is there; False if others wrote meanwhile, however
        often it was tried. Nobody's word is lost: it is all written, or nothing is."""
        for _ in range(TRIES):
            with _away():
                try:
                    async with self._redis.pipeline() as pipe:
                        await pipe.watch(*(self._key("told", *one) for one in subjects))
                        made = posts(await self.read(subjects))
                        pipe.multi()  # type: ignore[no-untyped-call]
                        for subject, post in zip(subjects, made, strict=True):
                            self._put(pipe, subject, post)
                        await pipe.execute()
                    return True
                except WatchError:
                    await asyncio.sleep(random.uniform(0, BACK_OFF_S))
        return False

    async def leave(self) -> None:
        """Show that nobody speaks for this site any more."""
        with _away():
            await self._redis.hdel(self._key("sites"), self.site)

    async def close(self) -> None:
        await self._redis.aclose()

    def _put(self, pipe: Pipeline, subject: Subject, post: Post) -> None:
        told, spent = self._key("told", *subject), self._key("spent", *subject)
        if post.forgotten:
            pipe.hdel(told, *post.forgotten)
        if post.told is not None:
            pipe.hset(told, self.site, written(post.told))
            pipe.expire(told, TOLD_KEPT_S)
        if post.spent is not None:
            pipe.hset(spent, self.site, written(post.spent))
            pipe.expire(spent, SPENT_KEPT_S)
        for site in post.recalled:
            pipe.sadd(self._key("recalled", site), name_of(subject))
            pipe.expire(self._key("recalled", site), TOLD_KEPT_S)

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))


def _client(url: str) -> Redis:
    """Redis as it is at ``url``, which may have options of its own. Nothing waits long for it."""
    try:
        client = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # a connection that was idle may be gone
            protocol=2,
        )
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # looks at them
        return client
    except (TypeError, ValueError):  # which may quote the password
        raise ConfigError("limits.redis_url: not a URL that Redis' client can read") from None


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, Unreadable) as error:
        raise BoardAway(f"Redis: {type(error).__name__}: {error}") from error
