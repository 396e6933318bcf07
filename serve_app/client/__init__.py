"""The Python SDK: chats, streams, adapters, A/B tests. Of the server it knows the HTTP API."""

from serve_app.client.ab.comparison import Comparison, Judgement, Reply, Winner
from serve_app.client.ab.human_judge import HumanJudge
from serve_app.client.ab.judges import ExactMatch, Judge, RegexMatch
from serve_app.client.ab.model_judge import ModelJudge
from serve_app.client.ab.tester import ABTester
from serve_app.client.answers import ChatAnswer, TokenUsage
from serve_app.client.async_lora_client import AsyncLoraClient
from serve_app.client.lora_client import LoraClient
from serve_app.client.metrics import StreamMetrics
from serve_app.client.records import Lora, LoraVersion, UnknownAnswer
from serve_app.client.streams import AsyncTextStream, TextStream

__all__ = [
    "ABTester",
    "AsyncLoraClient",
    "AsyncTextStream",
    "ChatAnswer",
    "Comparison",
    "ExactMatch",
    "HumanJudge",
    "Judge",
    "Judgement",
    "Lora",
    "LoraClient",
    "LoraVersion",
    "ModelJudge",
    "RegexMatch",
    "Reply",
    "StreamMetrics",
    "TextStream",
    "TokenUsage",
    "UnknownAnswer",
    "Winner",
]
