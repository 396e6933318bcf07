"""What an application sends of experiments."""

from typing import Any

EXPERIMENT: dict[str, Any] = {
    "id": "tone-test",
    "object": "experiment",
    "owner": "acme",
    "description": "the kinder tone",
    "state": "running",
    "goal": "score",
    "min_effect": 0.02,
    "winner": None,
    "arms": [
        {"name": "a", "model": "finance@v1", "weight": 3.0, "share": 0.75, "shadow": 0.0},
        {"name": "b", "model": "finance@v2", "weight": 1.0, "share": 0.25, "shadow": 0.0},
        {"name": "c", "model": "finance@v3", "weight": 0.0, "share": 0.0, "shadow": 0.05},
    ],
    "created": 1_700_000_000,
    "updated": 1_700_000_001,
    "started": 1_700_000_002,
    "ended": None,
}
ANSWER: dict[str, Any] = {
    "id": "7",
    "object": "experiment.answer",
    "arm": "dark",
    "request_id": "r-1",
    "at": 1_795_600_000,
    "answer": "up 4%",
}
ANSWERS = {"object": "list", "data": [ANSWER], "has_more": False, "last_id": "7"}
DELETED = {"id": "tone-test", "object": "experiment.deleted", "deleted": True}
FEEDBACK = {
    "request_id": "req-1",
    "object": "feedback",
    "score": 1.0,
    "labels": {"by": "user"},
    "experiment": "tone-test",
    "arm": "b",
}


def a_figure(mean: float | None, low: float | None, high: float | None, count: int) -> Any:
    return {"mean": mean, "low": low, "high": high, "count": count}


def figures(score: float, first_token_s: float) -> dict[str, Any]:
    """Of an arm that was asked often."""
    return {
        "error_rate": a_figure(0.004, 0.001, 0.015, 480),
        "score": a_figure(score, score - 0.06, score + 0.07, 240),
        "first_token_s": a_figure(first_token_s, first_token_s - 0.01, first_token_s + 0.01, 470),
        "tokens_per_s": a_figure(52.4, 51.0, 53.8, 470),
        "completion_tokens": a_figure(118.0, None, None, 480),
    }


NOTHING = dict.fromkeys(figures(0, 0), a_figure(None, None, None, 0))
RESULTS: dict[str, Any] = {
    "object": "experiment.results",
    "id": "tone-test",
    "state": "running",
    "goal": "score",
    "at": 1_700_003_600,
    "text": "b is better than a: by +0.2 (+0.1 to +0.3).",
    "leader": "b",
    "method": "intervals that hold however often one looks",
    "mismatch": {"alarm": False, "p": 0.73},
    "arms": [
        {
            "name": "a",
            "model": "finance@v1",
            "weight": 3.0,
            "share": 0.75,
            "shadow": 0.0,
            "units": 1200,
            "requests": 4800,
            "errors": 20,
            "figures": figures(0.41, 0.312),
            "finish_reasons": {"stop": 4700, "length": 80},
        },
        {
            "name": "b",
            "model": "finance@v2",
            "weight": 1.0,
            "share": 0.25,
            "shadow": 0.0,
            "units": 400,
            "requests": 1600,
            "errors": 7,
            "figures": figures(0.61, 0.087),
            "finish_reasons": {"stop": 1593},
        },
        {
            "name": "c",
            "model": "finance@v3",
            "weight": 0.0,
            "share": 0.0,
            "shadow": 0.05,
            "units": 0,
            "requests": 0,
            "errors": 0,
            "figures": NOTHING,
            "finish_reasons": {},
        },
    ],
    "verdicts": [
        {
            "arm": "b",
            "finding": "better",
            "text": "b is better than a: by +0.2 (+0.1 to +0.3).",
            "difference": {"estimate": 0.2, "low": 0.1, "high": 0.3, "p": 0.01},
            "errors": {"estimate": 0.0, "low": -0.01, "high": 0.01, "p": 1.0},
            "more_units": None,
            "detectable": 0.08,
        },
        {
            "arm": "c",
            "finding": "too_early",
            "text": "Too early: nothing is said before each arm has 30 units with a score.",
            "difference": {"estimate": 0.0, "low": None, "high": None, "p": 1.0},
            "errors": {"estimate": 0.0, "low": None, "high": None, "p": 1.0},
            "more_units": None,
            "detectable": None,
        },
    ],
}
