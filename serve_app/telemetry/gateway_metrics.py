"""Every metric that a gateway records.

They go through ``ray.serve.metrics`` and appear as ``ray_serve_app_*`` in Ray's Prometheus
endpoint. Label values are bounded: tenants, experiments and names of arms beyond the first
hundred share the label ``other``.
"""

from ray.serve.metrics import Counter, Gauge, Histogram

from serve_app.routing.policy import Delay

MAX_LABELS = 100
_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]


class Bounded:
    """The first ``limit`` distinct values as they are, all later ones as ``other``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def label(self, value: str) -> str:
        if value not in self._seen:
            if len(self._seen) >= self._limit:
                return "other"
            self._seen.add(value)
        return value


class GatewayMetrics:
    """Requests, tokens, placements and time to first token, as the gateway sees them."""

    def __init__(self) -> None:
        self._tenants = Bounded(MAX_LABELS)
        self._experiments = Bounded(MAX_LABELS)
        self._arm_names = Bounded(MAX_LABELS)
        self._requests = Counter(
            "serve_app_requests_total", "Requests by tenant and outcome.", ("tenant", "outcome")
        )
        self._tokens = Counter(
            "serve_app_tokens_total", "Tokens by tenant and kind.", ("tenant", "kind")
        )
        self._placements = Counter(
            "serve_app_placements_total", "Calls by why their replica was chosen.", ("reason",)
        )
        self._first_token = Histogram(
            "serve_app_time_to_first_token_seconds",
            "Seconds from the request's arrival to the first byte of its answer.",
            boundaries=_SECONDS,
            tag_keys=("tenant",),
        )
        self._expected_s = Counter(
            "serve_app_expected_delay_seconds_total",
            "Seconds that calls were expected to wait where they were placed, by cause.",
            ("cause",),
        )
        self._error_s = Histogram(
            "serve_app_first_token_error_seconds",
            "Seconds by which the first byte of a stream came later or sooner than expected.",
            boundaries=_SECONDS,
            tag_keys=("direction",),
        )
        self._shed = Counter(
            "serve_app_shed_total",
            "Calls refused because they would wait too long anywhere, by tenant.",
            ("tenant",),
        )
        self._queued = Gauge(
            "serve_app_queued_requests", "Calls that wait for their turn at a full fleet."
        )
        self._queued_s = Histogram(
            "serve_app_queue_seconds",
            "Seconds that calls waited for their turn at a full fleet.",
            boundaries=_SECONDS,
            tag_keys=("tenant",),
        )
        self._copies = Counter(
            "serve_app_copies_total", "Copies of hot adapters begun in the background."
        )
        self._prefetches = Counter(
            "serve_app_prefetches_total",
            "Adapters fetched before their request was whole, and whether it then went there.",
            ("useful",),
        )
        self._usage = Counter(
            "serve_app_usage_records_total",
            "Records of usage: those control has, and those that were lost.",
            ("fate",),
        )
        self._spooled = Gauge(
            "serve_app_usage_spooled_records", "Records of usage that wait for control on disk."
        )
        self._limited = Counter(
            "serve_app_limited_total",
            "Requests refused by a limit, of a tenant or a key, and which.",
            ("subject", "limit"),
        )
        self._arms = Counter(
            "serve_app_arm_requests_total",
            "Requests answered by an arm of an experiment.",
            ("experiment", "arm"),
        )
        self._shadows = Counter(
            "serve_app_shadow_copies_total",
            "Copies of requests for shadow arms, and what became of them.",
            ("experiment", "outcome"),
        )
        self._answering = Gauge(
            "serve_app_replicas_answering", "Replicas that have told this gateway that they live."
        )

    def answered(
        self,
        tenant: str | None,
        outcome: str,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cached_tokens: int = 0,
        first_byte_s: float | None = None,
    ) -> None:
        """One request is over."""
        label = self._tenants.label(tenant) if tenant else "none"
        self._requests.inc(tags={"tenant": label, "outcome": outcome})
        for kind, tokens in (
            ("prompt", prompt_tokens),
            ("completion", completion_tokens),
            ("cached", cached_tokens),
        ):
            if tokens:
                self._tokens.inc(tokens, tags={"tenant": label, "kind": kind})
        if first_byte_s is not None:
            self._first_token.observe(first_byte_s, tags={"tenant": label})

    def placed(self, reason: str) -> None:
        """One call has gone to a replica, for this reason."""
        self._placements.inc(tags={"reason": reason})

    def expected(self, delay: Delay, first_byte_s: float | None) -> None:
        """What the call of a placement was expected to wait, and did if its answer is a stream.

        What sharing the engine costs is a price, not a wait: the error is that of the other three.
        """
        causes = (
            ("load", delay.load_s),
            ("slot", delay.slot_s),
            ("queue", delay.queue_s),
            ("busy", delay.busy_s),
        )
        for cause, seconds in causes:
            if seconds > 0:
                self._expected_s.inc(seconds, tags={"cause": cause})
        if first_byte_s is not None:
            error_s = first_byte_s - (delay.total_s - delay.busy_s)
            direction = "later" if error_s >= 0 else "sooner"
            self._error_s.observe(abs(error_s), tags={"direction": direction})

    def shed(self, tenant: str) -> None:
        """A call was refused, for it would have waited too long wherever it went."""
        self._shed.inc(tags={"tenant": self._tenants.label(tenant)})

    def queued(self, tenant: str, seconds: float) -> None:
        """A call has had its turn after so long."""
        self._queued_s.observe(seconds, tags={"tenant": self._tenants.label(tenant)})

    def waiting(self, requests: int) -> None:
        """So many calls wait for their turn."""
        self._queued.set(requests)

    def copied(self) -> None:
        """A replica was told to load a hot adapter that others hold already."""
        self._copies.inc()

    def assigned(self, experiment: str, arm: str) -> None:
        """A request is answered by an arm of an experiment."""
        label = self._experiments.label(experiment)
        self._arms.inc(tags={"experiment": label, "arm": self._arm_names.label(arm)})

    def shadowed(self, experiment: str, outcome: str) -> None:
        """A copy for a shadow arm is over, or was not sent for want of room (``no_room``)."""
        label = self._experiments.label(experiment)
        self._shadows.inc(tags={"experiment": label, "outcome": outcome})

    def prefetched(self, useful: bool) -> None:
        """A replica was told of an adapter early; ``useful`` if its request then went there."""
        self._prefetches.inc(tags={"useful": "yes" if useful else "no"})

    def recorded(self, records: int) -> None:
        """Control has written down so many records of usage."""
        self._usage.inc(records, tags={"fate": "recorded"})
        self._spooled.set(0)

    def usage_lost(self, records: int) -> None:
        """So many records of usage could be kept nowhere."""
        self._usage.inc(records, tags={"fate": "lost"})

    def spooled(self, records: int) -> None:
        """So many records of usage wait on disk."""
        self._spooled.set(records)

    def limited(self, subject: str, limit: str) -> None:
        """A request was refused, for its tenant or its key may not use so much now."""
        self._limited.inc(tags={"subject": subject, "limit": limit})

    def replicas(self, answering: int) -> None:
        """So many replicas have told that they live."""
        self._answering.set(answering)
