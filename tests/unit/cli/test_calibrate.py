import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from serve_app.cli.calibrating import capacity, limits
from serve_app.cli.config_file import read
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED
from serve_app.cli.main import app
from serve_app.cli.one_replica import one_replica
from serve_app.cli.replica_client import CannotMeasure, ReplicaClient
from serve_app.cli.replica_measuring import Measuring, Recent
from serve_app.simulator.calibration import Where
from serve_app.simulator.machine import Machine, SlotRule
from serve_app.simulator.request import Arrival
from serve_app.simulator.workload import Traffic

DEMO = Path("configs/demo.yaml")
KEY = "sk-right"


class Replica:
    """Answers from memory that holds two adapters, each token after a step of ``step_s``."""

    def __init__(self, ids: Callable[[int], str] = lambda _: "r1", step_s: float = 0.0) -> None:
        self._ids = ids
        self._step_s = step_s
        self.asked: list[dict[str, Any]] = []
        self.held: list[str] = []
        self.tokens_less = 0
        self.status = 200

    async def models(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {KEY}":
            return web.json_response({"error": {}}, status=401)
        return web.json_response({"data": [{"id": name} for name in ("demo-llama", "a", "b", "c")]})

    async def tokenize(self, _request: web.Request) -> web.Response:
        return web.json_response({"tokens": [5, 6, 7, 5]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if self.status != 200:
            return web.json_response({"error": {"message": "busy"}}, status=self.status)
        placement = "resident" if body["model"] in self.held else "home"
        self.held = [*(name for name in self.held if name != body["model"]), body["model"]][-2:]
        headers = {
            "x-serve-placement": placement,
            "x-serve-replica": self._ids(len(self.asked)),
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for _ in range(body["max_tokens"]):
            await asyncio.sleep(self._step_s)
            await response.write(b'data: {"choices":[{"text":"x"}]}\n\n')
        tokens = body["max_tokens"] - self.tokens_less
        usage = {"choices": [], "usage": {"completion_tokens": tokens}}
        await response.write(f"data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
        return response

    @asynccontextmanager
    async def client(self, key: str = KEY) -> AsyncIterator[ReplicaClient]:
        app = web.Application()
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/tokenize", self.tokenize)
        app.router.add_post("/v1/completions", self.complete)
        async with (
            TestServer(app) as server,
            ReplicaClient(str(server.make_url("/")), key, Random(1)) as client,
        ):
            await client.learn("a")
            yield client


def measuring(client: ReplicaClient) -> Measuring:
    known = Machine(max_loras=1, max_num_seqs=4)
    return Measuring(client, ["a", "b", "c"], "base", known, 200, 0.0, lambda _what: None)


async def test_a_prompt_has_as_many_tokens_as_asked_for_and_an_answer_must() -> None:
    replica = Replica()
    async with replica.client() as client:
        seen = await client.ask("a", prompt=30, output=3)
        assert (seen.tokens, seen.cold) == (3, True)
        assert not (await client.ask("a", prompt=30, output=3)).cold
        assert [len(body["prompt"]) for body in replica.asked] == [30, 30]
        assert set(replica.asked[0]["prompt"]) == {5, 6, 7}
        replica.tokens_less = 1
        with pytest.raises(CannotMeasure, match="asked for 3 tokens, got 2"):
            await client.ask("a", prompt=30, output=3)


async def test_what_is_measured_covers_loads_prompts_and_streams() -> None:
    async with Replica().client() as client:
        found = await measuring(client).measure()
    places = [use.where for use in found.uses]
    assert places[:2] == [Where.AWAY, Where.SLOT]
    assert {*places} == {Where.AWAY, Where.STAGED, Where.HELD, Where.SLOT}
    assert {one.tokens for one in found.prompts} == {16, 64, 128}
    assert {(one.streams, one.adapters) for one in found.decoding} == {
        (streams, adapters) for streams in (1, 2, 4) for adapters in (0, 1)
    }


async def test_two_replicas_are_not_measured_as_one() -> None:
    async with Replica(lambda n: f"r{n % 2}").client() as client:
        with pytest.raises(CannotMeasure, match="2 replicas answered"):
            await measuring(client).measure()


async def test_a_trial_sends_every_request_and_counts_refusals() -> None:
    replica = Replica()
    arrivals = [Arrival(0.001 * n, n % 3, prompt=4, output=2) for n in range(6)]
    async with replica.client() as client:
        answers = await measuring(client).replay(arrivals)
        assert [one.arrival for one in answers] == arrivals
        assert all(one.first_s is not None for one in answers)
        replica.status = 503
        answers = await measuring(client).replay(arrivals)
    assert all(one.first_s is None for one in answers)


async def test_a_key_that_is_refused_is_said_so_with_its_own_exit_code() -> None:
    async with Replica().client(key="sk-wrong") as client:
        with pytest.raises(CannotMeasure, match="--api-key") as caught:
            await client.models()
    assert caught.value.code == DENIED


def test_an_adapter_is_in_a_slot_until_as_many_others_were_used() -> None:
    recent = Recent(slots=2)
    story = [
        ("a", True, Where.AWAY),
        ("a", False, Where.SLOT),
        ("b", True, Where.AWAY),
        ("a", False, Where.SLOT),
        ("c", True, Where.AWAY),
        ("b", False, Where.HELD),
        ("c", False, Where.SLOT),
        ("a", True, Where.STAGED),
    ]
    for name, cold, where in story:
        assert recent.where(name, cold=cold) is where, name


def test_limits_come_from_the_config() -> None:
    ours = read(DEMO).ours
    assert ours is not None
    machine = limits(ours.settings.engine, kv_tokens=1000)
    assert (machine.max_num_seqs, machine.max_loras, machine.max_cpu_loras) == (64, 2, 8)
    assert (machine.kv_tokens, machine.slot_rule, machine.turn_s) == (1000, SlotRule.TURNS, 0.5)
    plain = ours.settings.engine.model_copy(update={"slot_turn_s": 0.0})
    assert limits(plain, 1000).slot_rule is SlotRule.PLAIN


def test_what_is_started_has_one_replica_a_registry_of_its_own_and_nothing_loaded() -> None:
    content = yaml.safe_load(DEMO.read_text())
    (application,) = content["applications"]
    application["args"]["registry"]["database_url"] = "postgresql+asyncpg://production/registry"
    (control,) = [one for one in application["deployments"] if one["name"] == "control"]
    control["user_config"]["adapters"][0] |= {"preload": True, "pin": True}
    derived = one_replica(content, 1234, "/somewhere")
    assert derived["http_options"]["port"] == 1234
    (changed,) = derived["applications"]
    assert changed["args"]["registry"]["data_dir"] == "/somewhere/data"
    text = json.dumps(changed)
    for word in ("database_url", "preload", "pin"):
        assert f'"{word}"' not in text
    numbers = {one["name"]: one.get("num_replicas") for one in changed["deployments"]}
    assert numbers == {"engine": 1, "gateway": 1, "control": None}
    assert "postgresql" in json.dumps(content), "the caller's own is left as it is"


def test_capacity_is_less_for_longer_answers() -> None:
    machine = Machine()
    short, long = (capacity(machine, Traffic(output=n)) for n in (10, 100))
    assert long < short < 100 * long


def test_a_url_at_which_nobody_answers_is_an_error_that_says_so(tmp_path: Path) -> None:
    out = tmp_path / "machine.json"
    arguments = ["calibrate", str(DEMO), "--url", "http://127.0.0.1:9", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == AWAY
    assert "nothing answers at http://127.0.0.1:9" in result.stderr
    assert not out.exists()


def test_a_config_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["calibrate", str(tmp_path / "none.yaml")])
    assert result.exit_code == CONFIG_REFUSED
    assert "no such file" in result.stderr


def test_a_running_replica_is_measured_and_its_file_can_be_simulated(tmp_path: Path) -> None:
    config, out = tmp_path / "config.yaml", tmp_path / "machine.json"
    content = yaml.safe_load(DEMO.read_text())
    content["applications"][0]["args"]["engine"] |= {"max_num_seqs": 4, "news_interval_s": 0.01}
    config.write_text(yaml.safe_dump(content))

    async def calibrated() -> Any:
        app_ = web.Application()
        replica = Replica(step_s=0.004)
        app_.router.add_get("/v1/models", replica.models)
        app_.router.add_post("/tokenize", replica.tokenize)
        app_.router.add_post("/v1/completions", replica.complete)
        async with TestServer(app_) as server:
            arguments = ["calibrate", str(config), "--url", str(server.make_url("/"))]
            arguments += ["--api-key", KEY, "--out", str(out), "--output", "json"]
            arguments += ["--seconds", "2", "--rate", "8", "--answer", "4"]
            return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    result = asyncio.run(calibrated())
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["real"].keys() == said["simulated"].keys() == said["error"].keys()
    notes = json.loads(out.read_text())["notes"]
    assert notes["trial"]["real"] == said["real"]
    assert "overhead_s" in notes
