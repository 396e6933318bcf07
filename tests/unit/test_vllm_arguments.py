import json
from typing import Any

import pytest

from serve_app.settings import EngineSettings

ARGUMENTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the model": ({}, ["--model", "m"]),
    "its public name": ({"served_model_name": "demo"}, ["--served-model-name", "demo"]),
    "its own name if it has no other": ({}, ["--served-model-name", "m"]),
    "LoRA": ({}, ["--enable-lora"]),
    "slots": ({"max_loras": 2}, ["--max-loras", "2"]),
    "host memory for four batches of adapters": ({"max_loras": 3}, ["--max-cpu-loras", "12"]),
    "host memory as it is set": ({"max_cpu_loras": 64}, ["--max-cpu-loras", "64"]),
    "rank": ({"max_lora_rank": 64}, ["--max-lora-rank", "64"]),
    "memory": ({"gpu_memory_utilization": 0.5}, ["--gpu-memory-utilization", "0.5"]),
    "code that is not trusted": ({}, ["--no-trust-remote-code"]),
    "eager execution": ({"enforce_eager": True}, ["--enforce-eager"]),
    "an option of vLLM": ({"vllm": {"block_size": 32}}, ["--block-size", "32"]),
    "an option switched off": (
        {"vllm": {"enable_prefix_caching": False}},
        ["--no-enable-prefix-caching"],
    ),
    "an option with several values": (
        {"vllm": {"allowed_media_domains": ["a", "b"]}},
        ["--allowed-media-domains", "a", "b"],
    ),
}


@pytest.mark.parametrize(("options", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_vllm_is_told_of(options: dict[str, Any], words: list[str]) -> None:
    said = EngineSettings(model="m", **options).as_vllm_arguments()
    at = said.index(words[0])
    assert said[at : at + len(words)] == words
    assert said.count(words[0]) == 1


def test_vllm_is_told_an_option_with_parts_as_json() -> None:
    parts = {"method": "ngram", "num_speculative_tokens": 2}
    said = EngineSettings(model="m", vllm={"speculative_config": parts}).as_vllm_arguments()
    assert json.loads(said[said.index("--speculative-config") + 1]) == parts


def _word_after(option: str, said: list[str]) -> str | None:
    return said[said.index(option) + 1] if option in said else None


TURNS = ["serve_app.engine.vllm_scheduler.scheduler", '{"slot_turn_s": 0.25}']


@pytest.mark.parametrize(
    ("turn_s", "vllm", "told"),
    [
        (0.25, {}, TURNS),
        (0.25, {"additional_config": {"x": 1}}, [TURNS[0], '{"x": 1, "slot_turn_s": 0.25}']),
        (0.0, {}, [None, None]),
        (0.25, {"scheduler_cls": "their.own"}, ["their.own", None]),
    ],
    ids=["a turn", "a turn beside their own words", "no turns", "a scheduler of their own"],
)
def test_vllm_is_told_of_turns_unless_there_are_none(
    turn_s: float, vllm: dict[str, Any], told: list[str | None]
) -> None:
    said = EngineSettings(model="m", slot_turn_s=turn_s, vllm=vllm).as_vllm_arguments()
    assert [_word_after(o, said) for o in ("--scheduler-cls", "--additional-config")] == told


@pytest.mark.parametrize("ours", ["bus", "news", "hang", "--vllm"])
def test_vllm_is_not_told_of_what_is_ours(ours: str) -> None:
    assert not [word for word in EngineSettings(model="m").as_vllm_arguments() if ours in word]


@pytest.mark.parametrize("unset", ["--max-model-len", "--max-num-seqs", "--block-size"])
def test_what_is_not_set_is_left_to_vllm(unset: str) -> None:
    settings = EngineSettings(model="m", vllm={"block_size": None})
    assert unset not in settings.as_vllm_arguments()


def test_every_word_is_text() -> None:
    settings = EngineSettings(model="m", max_model_len=128, vllm={"seed": 7, "stages": [1, 2]})
    assert {type(word) for word in settings.as_vllm_arguments()} == {str}
