"""The Python SDK: chats, streams, adapters, experiments, A/B tests. It knows the HTTP API alone."""

from serve_app.client.ab.comparison import Comparison, Judgement, Reply, Winner
from serve_app.client.ab.human_judge import HumanJudge
from serve_app.client.ab.judges import ExactMatch, Judge, RegexMatch
from serve_app.client.ab.model_judge import ModelJudge
from serve_app.client.ab.tester import ABTester
from serve_app.client.answers import ChatAnswer, TokenUsage
from serve_app.client.async_experiments import AsyncExperiments
from serve_app.client.async_lora_client import AsyncLoraClient
from serve_app.client.experiment_records import (
    ArmResults,
    ArmVerdict,
    Difference,
    Experiment,
    ExperimentArm,
    ExperimentDeleted,
    ExperimentResults,
    Feedback,
    Figure,
    Judged,
    Mismatch,
    ShadowAnswer,
)
from serve_app.client.experiment_requests import Arm
from serve_app.client.experiments import Experiments
from serve_app.client.lora_client import LoraClient
from serve_app.client.metrics import StreamMetrics
from serve_app.client.records import Lora, LoraVersion, UnknownAnswer
from serve_app.client.streams import AsyncTextStream, TextStream

__all__ = [
    "ABTester",
    "Arm",
    "ArmResults",
    "ArmVerdict",
    "AsyncExperiments",
    "AsyncLoraClient",
    "AsyncTextStream",
    "ChatAnswer",
    "Comparison",
    "Difference",
    "ExactMatch",
    "Experiment",
    "ExperimentArm",
    "ExperimentDeleted",
    "ExperimentResults",
    "Experiments",
    "Feedback",
    "Figure",
    "HumanJudge",
    "Judge",
    "Judged",
    "Judgement",
    "Lora",
    "LoraClient",
    "LoraVersion",
    "Mismatch",
    "ModelJudge",
    "RegexMatch",
    "Reply",
    "ShadowAnswer",
    "StreamMetrics",
    "TextStream",
    "TokenUsage",
    "UnknownAnswer",
    "Winner",
]
