"""The clocks of control, and how long things are kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks and pauses of control, in seconds.

    Attributes:
        unix: the time of day.
        monotonic: for everything that lasts.
        grace_s: content nobody refers to is deleted after so long.
        beat_s: longest silence of a follower's stream.
        requests_days, usage_days: what single requests used, and sums of it by the hour, are kept
            so long.
        learning_s: gateways have told what they hold of limits so long after control began.
        heard_s: a request's usage is here so long after its end: feedback on it waits for it.
    """

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    grace_s: float = 300
    beat_s: float = 1.0
    requests_days: int = 30
    usage_days: int = 400
    learning_s: float = 1.5
    heard_s: float = 3.0
