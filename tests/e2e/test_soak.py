"""Traffic on forty adapters while they are registered, replaced, rolled back and removed, for more
than a minute. Real Ray Serve, real vLLM."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.adapters.version import DIGEST_CHARS, digest_of
from serve_app.demo.lexicon import ADAPTERS, QUESTIONS, who_answered
from tests import harness
from tests.e2e.contents import write_content
from tests.e2e.ledger import GONE, Ledger
from tests.harness import RunningApp, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

ADMIN = {"Authorization": "Bearer sk-admin-demo"}
NAMES = [f"soak-{number:02}" for number in range(40)]
SECONDS = 80
CLIENTS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[RunningApp]:
    """Two replicas with room for four adapters each, two of them at a time."""
    config = harness.config("demo.yaml")
    settings = harness.args(config)
    settings["engine"] |= {"max_loras": 2, "max_cpu_loras": 4}
    settings["registry"] = {"roots": [str(folder)], "grace_s": 5, "drain_s": 60}
    with harness.running(config) as app:
        yield app


class Operator:
    """Changes adapters, one after another, and writes down what must hold."""

    def __init__(self, app: RunningApp, folder: Path, ledger: Ledger, dice: random.Random) -> None:
        self._client = httpx.AsyncClient(base_url=app.url, headers=ADMIN, timeout=120)
        self._folder = folder
        self._ledger = ledger
        self._dice = dice
        self._made = 0
        self.voices: dict[str, str] = {}
        self.numbers: dict[str, dict[int, str]] = {}
        self.did: Counter[str] = Counter()

    async def register(self, name: str) -> None:
        self._made += 1
        voice = self._dice.choice(ADAPTERS)
        path = write_content(self._folder / f"content-{self._made}", voice, str(self._made))
        digest = self._digest(path)
        self.voices[digest] = voice
        self._ledger.ask(name, digest)
        body = {"lora_name": name, "lora_path": path}
        record = self._ok(await self._client.post("/v1/lora/register", json=body))
        self._ledger.acknowledge(name)
        assert record["digest"].startswith(digest)
        self.numbers.setdefault(name, {})[record["version"]] = digest
        self.did["registered"] += 1

    async def roll_back(self, name: str) -> None:
        number = self._dice.choice(list(self.numbers[name]))
        self._ledger.ask(name, self.numbers[name][number])
        body = {"version": number}
        self._ok(await self._client.post(f"/v1/lora/{name}/rollback", json=body))
        self._ledger.acknowledge(name)
        self.did["rolled back"] += 1

    async def remove(self, name: str) -> None:
        self._ledger.ask(name, GONE)
        self._ok(await self._client.delete(f"/v1/lora/{name}"))
        self._ledger.acknowledge(name)
        self.numbers[name] = {}
        self.did["removed"] += 1

    async def change_something(self) -> None:
        name = self._dice.choice(NAMES)
        if self._ledger.now(name) is GONE:
            await self.register(name)
            return
        change = self._dice.choices([self.register, self.roll_back, self.remove], [3, 2, 1])[0]
        await change(name)

    async def close(self) -> None:
        await self._client.aclose()

    @staticmethod
    def _digest(path: str) -> str:
        return digest_of(Path(path))[:DIGEST_CHARS]

    @staticmethod
    def _ok(response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 200, response.text
        record: dict[str, Any] = response.json()
        return record


class Customer:
    """Asks one name after another and keeps what was wrong with the answers."""

    def __init__(self, app: RunningApp, operator: Operator, ledger: Ledger, seed: int) -> None:
        self._client = httpx.AsyncClient(base_url=app.url, headers=ADMIN, timeout=120)
        self._operator = operator
        self._ledger = ledger
        self._dice = random.Random(seed)
        self.wrong: list[str] = []
        self.outcomes: Counter[str] = Counter()

    async def ask_until(self, end: float) -> None:
        while time.monotonic() < end:
            await self._ask(self._dice.choice(NAMES))
        await self._client.aclose()

    async def _ask(self, name: str) -> None:
        body = {
            "model": name,
            "messages": [{"role": "user", "content": self._dice.choice(QUESTIONS[ADAPTERS[0]])}],
            "max_tokens": self._dice.choice([8, 24, 60]),
            "ignore_eos": True,
        }
        began = time.monotonic()
        response = await self._client.post("/v1/chat/completions", json=body)
        allowed = self._ledger.allowed(name, began, time.monotonic())
        self.outcomes[str(response.status_code)] += 1
        if response.status_code == 404 and GONE in allowed:
            return
        if response.status_code != 200:
            self.wrong.append(f"{name}: {response.status_code} {response.text}")
            return
        digest = response.headers["x-serve-adapter"].partition("@")[2]
        words = who_answered(response.json()["choices"][0]["message"]["content"])
        self.outcomes[response.headers["x-serve-placement"]] += 1
        if digest not in allowed:
            self.wrong.append(f"{name}: answered by {digest}, allowed were {allowed}")
        if words != {self._operator.voices[digest]}:
            self.wrong.append(f"{name}: {digest} spoke as {set(words)}")


async def test_every_answer_has_its_versions_words_and_nothing_fails(
    app: RunningApp, folder: Path
) -> None:
    seed = 7
    ledger = Ledger()
    operator = Operator(app, folder, ledger, random.Random(seed))
    engines = {process.pid for process in app.processes("VLLM::EngineCore")}
    for name in NAMES:
        await operator.register(name)
    end = time.monotonic() + SECONDS
    customers = [Customer(app, operator, ledger, seed + n) for n in range(CLIENTS)]
    asking = [asyncio.create_task(customer.ask_until(end)) for customer in customers]
    while time.monotonic() < end:
        await operator.change_something()
        await asyncio.sleep(0.2)
    await asyncio.gather(*asking)
    await operator.close()

    wrong = [line for customer in customers for line in customer.wrong]
    total: Counter[str] = sum((customer.outcomes for customer in customers), Counter())
    print(f"seed {seed}: {dict(operator.did)}, answers {dict(total)}")
    assert not wrong, wrong[:10]
    assert min(operator.did[what] for what in ("registered", "rolled back", "removed")) >= 5
    assert total["200"] > 100
    assert {process.pid for process in app.processes("VLLM::EngineCore")} == engines
    eventually(lambda: _in_flight(app) == 0, 5, "nothing in flight")


def _in_flight(app: RunningApp) -> int:
    fleet = httpx.get(f"{app.url}/admin/v1/fleet", headers=ADMIN).json()
    return sum(replica["in_flight"] for replica in fleet["replicas"])
