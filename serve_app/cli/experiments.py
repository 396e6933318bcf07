"""Experiments and feedback as tables, records and words."""

from collections.abc import Iterable

from rich.console import Console

from serve_app.cli import admin
from serve_app.cli.admin import Json
from serve_app.cli.arms import percent
from serve_app.client import Experiment, ExperimentDeleted, Feedback, ShadowAnswer
from serve_app.client.printable import printable

_COLUMNS = {
    "id": "experiment",
    "state": "state",
    "goal": "goal",
    "arms": "arms",
    "winner": "winner",
    "owner": "owner",
    "started": "started",
}
_ARMS = {
    "name": "arm",
    "model": "model",
    "weight": "weight",
    "share": "share",
    "shadow": "shadow",
}
_ANSWERS = {"at": "at", "arm": "arm", "request_id": "copy of", "answer": "answer"}


def told(record: Experiment | ExperimentDeleted | Feedback | ShadowAnswer) -> Json:
    """What the application told, all of it."""
    return record.model_dump(mode="json")


def page(records: Iterable[Experiment] | Iterable[ShadowAnswer]) -> Json:
    """A whole list."""
    return {"object": "list", "data": [told(one) for one in records]}


def as_table(console: Console, answer: Json) -> None:
    """Shows experiments, a line each."""
    rows = [
        one | {"arms": {arm["name"]: _part(arm) for arm in one["arms"]}} for one in answer["data"]
    ]
    admin.as_table("Experiments", _COLUMNS)(console, {"data": rows})


def as_record(console: Console, answer: Json) -> None:
    """Shows one experiment, a line a field, and a table of its arms."""
    admin.as_record(console, {name: answer[name] for name in answer if name != "arms"})
    rows = [
        arm
        | {
            "weight": f"{arm['weight']:g}",
            "share": percent(arm["share"]),
            "shadow": percent(arm["shadow"]) if arm["shadow"] else None,
        }
        for arm in answer["arms"]
    ]
    admin.as_table("Arms", _ARMS)(console, {"data": rows})


def as_answers(console: Console, answer: Json) -> None:
    """Shows what shadows answered, a line each."""
    admin.as_table("Answers of shadows", _ANSWERS)(console, answer)


def as_feedback(console: Console, answer: Json) -> None:
    """Says what is kept, and which arm it is counted for."""
    score, arm = answer["score"], answer["arm"]
    words = [f"kept of {answer['request_id']}"]
    if score is not None:
        words.append(f"score {score:g}")
    if arm is not None:
        words.append(f"for arm {arm} of {answer['experiment']}")
    console.print(printable(", ".join(words)), markup=False, highlight=False, soft_wrap=True)


def _part(arm: Json) -> str:
    """What answers, and for how much of the units."""
    share = f"{percent(arm['shadow'])} shadow" if arm["shadow"] else percent(arm["share"])
    return f"{arm['model']} ({share})"
