"""How fast an answer came in deltas. Pure."""

from dataclasses import asdict, dataclass

from openai.types.chat import ChatCompletionChunk

from serve_app.client.answers import Origin, TokenUsage, usage_of


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """What is known of a streamed answer when it has ended. Times are in seconds.

    Attributes:
        time_to_first_token_s: from sending the request to the first delta with text; None if none
            had any.
        tokens_per_s: tokens after the first one over the time from the first delta with text to the
            last delta; None where that is no time, or the server told no usage.
        latency_s: from sending the request to the end of the stream.
        deltas: those that had text.
        adapter, replica, placement, request_id, experiment, arm: as in ``Origin``.
    """

    time_to_first_token_s: float | None
    tokens_per_s: float | None
    latency_s: float
    deltas: int
    finish_reason: str | None
    usage: TokenUsage | None
    model: str | None
    adapter: str | None
    replica: str | None
    placement: str | None
    request_id: str | None
    experiment: str | None = None
    arm: str | None = None


class Meter:
    """Measures one stream. Pure: it is told the time.

    Args:
        sent: when the request was sent.

    Attributes:
        text: what has come so far.
        finish_reason: None until the answer is complete.
    """

    def __init__(self, sent: float) -> None:
        self.text = ""
        self.finish_reason: str | None = None
        self._sent = sent
        self._first: float | None = None
        self._last = sent
        self._deltas = 0
        self._usage: TokenUsage | None = None
        self._model: str | None = None

    def take(self, chunk: ChatCompletionChunk, now: float) -> str:
        """The text of a chunk that came ``now``, often none."""
        self._model = chunk.model or self._model
        self._usage = usage_of(chunk.usage) or self._usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        text = choice.delta.content or ""
        self._last = now
        self.finish_reason = choice.finish_reason or self.finish_reason
        if text:
            self._first = now if self._first is None else self._first
            self._deltas += 1
            self.text += text
        return text

    def metrics(self, now: float, origin: Origin) -> StreamMetrics:
        """Everything, when the stream has ended ``now``."""
        return StreamMetrics(
            time_to_first_token_s=None if self._first is None else self._first - self._sent,
            tokens_per_s=self._rate(),
            latency_s=now - self._sent,
            deltas=self._deltas,
            finish_reason=self.finish_reason,
            usage=self._usage,
            model=self._model,
            **asdict(origin),
        )

    def _rate(self) -> float | None:
        """The first token is there when the time begins, so it is not of those that took it."""
        if self._first is None or self._usage is None or self._last <= self._first:
            return None
        after_it = self._usage.completion_tokens - 1
        return after_it / (self._last - self._first) if after_it > 0 else None
