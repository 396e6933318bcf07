"""What a user types: the SDK, A/B tests and the commands, on real Ray Serve and real vLLM."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import openai
import pytest

from serve_app.cli.exits import CONFIG_REFUSED, DENIED, REFUSED, STOPPED
from serve_app.client import ABTester, AsyncLoraClient, LoraClient, RegexMatch
from serve_app.client.ab.judges import Judge
from serve_app.demo.lexicon import QUESTIONS, VOICES, who_answered
from tests.harness import REPOSITORY, RunningApp

pytestmark = pytest.mark.e2e

ADMIN = "sk-admin-demo"
FINANCE, LEGAL, CHEF = "acme-finance-lora", "legal-contract-lora", "cooking-chef-lora"
TENANTS = {
    "sk-acme-12345": FINANCE,
    "sk-hospital-67890": "medical-clinical-lora",
    "sk-law-abcde": LEGAL,
    "sk-edu-fghij": "education-tutoring-lora",
}
PROMPTS = ["What moved the quarter?", "May we end this contract early?", "What should I do next?"]
OF_FINANCE = r"(?i)\b(" + "|".join(sorted(VOICES[FINANCE].words)) + r")\b"


@pytest.fixture
def client(app: RunningApp) -> Iterator[LoraClient]:
    with LoraClient(app.url, ADMIN) as client:
        yield client


def serve_app(
    app: RunningApp, *words: str, key: str = ADMIN, says: str = "", cwd: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("serve-app"), *words, "--url", app.url],
        input=says,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={"SERVE_APP_API_KEY": key, "COLUMNS": "160", "PYTHONPATH": str(REPOSITORY)},
    )


def test_one_client_chats_with_several_adapters(client: LoraClient) -> None:
    available = {lora.id for lora in client.list_available_loras()}
    assert set(QUESTIONS) <= available | {"base"}
    for name in (FINANCE, LEGAL):
        answer = client.chat(name, [{"role": "user", "content": PROMPTS[0]}], max_tokens=40)
        assert who_answered(answer.content) == {name}
        assert (answer.adapter or "").startswith(f"{name}@")
        assert answer.usage is not None
        assert answer.usage.completion_tokens > 0
        assert answer.latency_s > 0
        assert answer.request_id


def test_every_tenant_is_answered_by_its_own_adapter_and_sees_no_other(app: RunningApp) -> None:
    for key, name in TENANTS.items():
        with LoraClient(app.url, key) as client:
            assert who_answered(client.chat("base", PROMPTS[2], max_tokens=40).content) == {name}
            assert [lora.id for lora in client.list_available_loras()] == [name]
            others = {FINANCE, LEGAL} - {name}
            with pytest.raises(openai.NotFoundError):
                client.chat(others.pop(), PROMPTS[2])


def test_a_stream_ends_with_its_metrics(client: LoraClient) -> None:
    with client.stream(LEGAL, PROMPTS[1], max_tokens=40) as stream:
        text = "".join(stream)
    metrics = stream.metrics
    assert who_answered(text) == {LEGAL}
    assert text == stream.text
    assert metrics.usage is not None
    assert metrics.time_to_first_token_s is not None
    assert 0 < metrics.time_to_first_token_s < metrics.latency_s
    assert metrics.tokens_per_s is not None
    assert metrics.tokens_per_s > 0
    assert metrics.deltas > 1
    assert (metrics.adapter or "").startswith(f"{LEGAL}@")


async def test_many_are_asked_at_once(app: RunningApp) -> None:
    names = [FINANCE, LEGAL, CHEF, *TENANTS.values()]
    async with AsyncLoraClient(app.url, ADMIN) as client:
        answers = await asyncio.gather(
            *(client.chat(name, PROMPTS[2], max_tokens=30) for name in names)
        )
    assert [who_answered(answer.content) for answer in answers] == [{name} for name in names]


def test_an_adapter_is_registered_listed_rolled_back_and_removed(client: LoraClient) -> None:
    made = client.register_lora("sdk-guest", f".demo/adapters/{CHEF}", description="a guest")
    assert (made.version, made.is_live) == (1, True)
    assert "sdk-guest" in {lora.id for lora in client.list_available_loras()}
    assert who_answered(client.chat("sdk-guest", "x", max_tokens=20).content) == {CHEF}
    assert client.register_lora("sdk-guest", f".demo/adapters/{LEGAL}").version == 2
    assert who_answered(client.chat("sdk-guest", "x", max_tokens=20).content) == {LEGAL}
    assert [one.version for one in client.versions("sdk-guest")] == [2, 1]
    assert client.rollback("sdk-guest").version == 1
    assert who_answered(client.chat("sdk-guest", "x", max_tokens=20).content) == {CHEF}
    client.set_alias("sdk-guest", "sdk-next", 2)
    assert who_answered(client.chat("sdk-next", "x", max_tokens=20).content) == {LEGAL}
    client.unregister_lora("sdk-guest")
    assert "sdk-guest" not in {lora.id for lora in client.list_available_loras()}
    with pytest.raises(openai.NotFoundError):
        client.chat("sdk-guest", "x")


def test_an_adapter_that_is_none_is_refused_with_the_reason(client: LoraClient) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.register_lora("sdk-nothing", ".demo/adapters/nowhere")
    assert refused.value.status_code in (400, 404, 422)
    assert refused.value.code


async def test_three_prompts_are_compared_and_written(app: RunningApp, tmp_path: Path) -> None:
    import re

    from serve_app.client.ab.report import write_report

    judge: Judge = RegexMatch(re.compile(OF_FINANCE))
    out = tmp_path / "ab_test_results.json"
    async with AsyncLoraClient(app.url, ADMIN) as client:
        tester = ABTester(client, judge)
        done = await tester.run(PROMPTS, FINANCE, LEGAL, "Be brief.", out=out, max_tokens=40)
    write_report(done, tmp_path / "out.html", "regex")
    written = json.loads(out.read_text())
    assert [one["prompt"] for one in written] == PROMPTS
    for one in written:
        assert who_answered(one["lora_a"]["response"]) == {FINANCE}
        assert who_answered(one["lora_b"]["response"]) == {LEGAL}
        for side in (one["lora_a"], one["lora_b"]):
            assert 0 < side["time_to_first_token_s"] < side["latency_s"]
            assert side["completion_tokens"] > 0
        assert one["judgement"]["winner"] == "lora_a"
    page = unescape((tmp_path / "out.html").read_text())
    assert "cannot tell" in page  # three wins of three are not enough to say so
    assert all(one["lora_a"]["response"] in page for one in written)


def test_the_commands_manage_an_adapter_from_first_to_last(app: RunningApp) -> None:
    made = serve_app(
        app, "lora", "register", "cli-guest", f".demo/adapters/{CHEF}", "--label", "a=b"
    )
    assert (made.returncode, made.stderr) == (STOPPED, ""), made.stderr
    assert "a=b" in made.stdout
    listed = json.loads(serve_app(app, "lora", "ls", "--output", "json").stdout)
    assert "cli-guest" in {one["id"] for one in listed["data"]}
    assert "cli-guest" in serve_app(app, "lora", "ls").stdout
    said = serve_app(app, "chat", "cli-guest", "-m", "What is for dinner?", "--max-tokens", "20")
    assert who_answered(said.stdout) == {CHEF}
    serve_app(app, "lora", "register", "cli-guest", f".demo/adapters/{LEGAL}")
    versions = json.loads(
        serve_app(app, "lora", "versions", "cli-guest", "--output", "json").stdout
    )
    assert [one["version"] for one in versions["data"]] == [2, 1]
    back = serve_app(app, "lora", "rollback", "cli-guest", "--to", "1", "--output", "json")
    assert json.loads(back.stdout)["version"] == 1
    assert "live" in serve_app(app, "lora", "info", "cli-guest").stdout
    assert serve_app(app, "lora", "rm", "cli-guest").returncode == CONFIG_REFUSED
    assert serve_app(app, "lora", "rm", "cli-guest", "--yes").returncode == STOPPED
    assert serve_app(app, "chat", "cli-guest", "-m", "x").returncode == REFUSED


def test_the_commands_tell_a_wrong_key_and_a_model_that_is_not_there(app: RunningApp) -> None:
    assert serve_app(app, "lora", "ls", key="sk-nobody").returncode == DENIED
    assert serve_app(app, "chat", "nobody-lora", "-m", "x").returncode == REFUSED
    tenants = serve_app(app, "lora", "rm", LEGAL, "--yes", key="sk-acme-12345")
    assert tenants.returncode in (DENIED, REFUSED)


def test_a_conversation_goes_on_line_by_line(app: RunningApp) -> None:
    words = ("chat", "--max-tokens", "20", "--output", "json")
    done = serve_app(app, *words, key="sk-law-abcde", says="Hello\nAnd then?\n/exit\n")
    first, second = map(json.loads, done.stdout.splitlines())
    assert who_answered(first["content"] + second["content"]) == {LEGAL}
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]


def test_the_command_compares_judges_and_reports(app: RunningApp, tmp_path: Path) -> None:
    prompts = [question for questions in QUESTIONS.values() for question in questions][:8]
    (tmp_path / "prompts.txt").write_text("\n".join(prompts))
    done = serve_app(
        app,
        *("ab", "run", "prompts.txt", "--a", FINANCE, "--b", LEGAL, "--max-tokens", "30"),
        *("--judge", f"regex:{OF_FINANCE}", "--report", "out.html"),
        cwd=tmp_path,
    )
    assert done.returncode == STOPPED, done.stderr
    assert f"A ({FINANCE}) is preferred by this judge" in done.stdout
    assert len(json.loads((tmp_path / "ab_test_results.json").read_text())) == len(prompts)
    assert "data:image/png;base64," in (tmp_path / "out.html").read_text()
