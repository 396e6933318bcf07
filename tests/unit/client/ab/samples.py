"""Comparisons as tests need them."""

from serve_app.client import Comparison, Judgement, Reply, Winner


def a_reply(
    name: str = "finance",
    response: str | None = "up 4%",
    error: str | None = None,
    latency_s: float = 0.5,
) -> Reply:
    if error is not None:
        return Reply(name, error=error)
    return Reply(
        name,
        response,
        adapter=f"{name}@5533a83906f4",
        finish_reason="stop",
        prompt_tokens=7,
        completion_tokens=5,
        time_to_first_token_s=latency_s / 5,
        tokens_per_s=10.0,
        latency_s=latency_s,
        request_id="req-1",
    )


def a_comparison(
    winner: Winner | None = None,
    prompt: str = "How was the quarter?",
    a: Reply | None = None,
    b: Reply | None = None,
) -> Comparison:
    return Comparison(
        prompt,
        a or a_reply("finance"),
        b or a_reply("legal", "breach of clause 4", latency_s=0.8),
        system_prompt=None,
        params={"max_tokens": 9},
        asked_at="2026-11-25T10:00:00+00:00",
        judgement=Judgement(winner, "because") if winner else None,
    )


def a_test(a: int, b: int, ties: int = 0) -> list[Comparison]:
    """So many wins of each side."""
    won = [Winner.A] * a + [Winner.B] * b + [Winner.TIE] * ties
    return [
        a_comparison(
            winner,
            f"prompt {number}",
            a_reply("finance", latency_s=0.4 + number * 0.01),
            a_reply("legal", "breach", latency_s=0.5 + number * 0.03),
        )
        for number, winner in enumerate(won)
    ]
