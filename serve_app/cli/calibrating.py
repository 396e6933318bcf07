"""``serve-app calibrate`` at work: start, measure, fit, try, print."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import typer
from pydantic import JsonValue
from rich.console import Console

from serve_app.cli import calibration_report as report
from serve_app.cli import config_file
from serve_app.cli.calibrate import Options
from serve_app.cli.calibration_report import Found
from serve_app.cli.config_file import Ours
from serve_app.cli.exits import CONFIG_REFUSED, FAILED, STOPPED
from serve_app.cli.one_replica import measured
from serve_app.cli.options import Output
from serve_app.cli.replica_client import CannotMeasure, ReplicaClient
from serve_app.cli.replica_measuring import Measuring
from serve_app.cli.served import NotStarted
from serve_app.errors import ConfigError
from serve_app.settings import EngineSettings
from serve_app.simulator import machine_file
from serve_app.simulator.calibration import fit
from serve_app.simulator.machine import Machine, SlotRule
from serve_app.simulator.reality import Goal, facts, simulated, workload
from serve_app.simulator.workload import Traffic

WARM_UP_SHARE = 0.25
OF_CAPACITY = 0.4
START_WITHIN_S, STOP_WITHIN_S = 900.0, 60.0
VLLM_SEATS, VLLM_TOKENS, VLLM_LONGEST = 256, 2048, 4096
"""vLLM's own limits, where a config names none."""


def calibrate(options: Options) -> int:
    """Returns the exit code; says what is wrong on standard error."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        found = _measured(options, console)
        _write(options, found)
    except ConfigError as problem:
        return _failed(console, problem, CONFIG_REFUSED)
    except CannotMeasure as problem:
        return _failed(console, problem, problem.code)
    except NotStarted as problem:
        return _failed(console, problem, FAILED)
    except OSError as problem:
        return _failed(console, f"{options.out}: {problem.strerror or problem}", CONFIG_REFUSED)
    if options.output is Output.JSON:
        typer.echo(json.dumps(report.as_json(found), indent=2))
    else:
        Console(highlight=False).print(*report.tables(found))
    console.print(f"written: {options.out}")
    return STOPPED


def _measured(options: Options, console: Console) -> Found:
    config = config_file.read(options.config)
    if config.ours is None:
        raise ConfigError(f"{config.path}: deploys another application")
    key = _key(config.ours, options)
    with measured(config, options.url) as url:
        return asyncio.run(_tried(options, config.ours.settings.engine, url, key, console))


async def _tried(
    options: Options, settings: EngineSettings, url: str, key: str, console: Console
) -> Found:
    async with ReplicaClient(url, key, Random(options.seed)) as client:
        return await _try(options, settings, client, console)


async def _try(
    options: Options, settings: EngineSettings, client: ReplicaClient, console: Console
) -> Found:
    known = limits(settings, options.kv_tokens)
    models = await client.models()
    base = settings.base_name if settings.base_name in models else None
    names = [name for name in models if name != base][: options.adapters]
    if not names:
        raise ConfigError("the key may use no adapter; give another with --api-key")
    await client.learn(names[0])
    longest = settings.max_model_len or VLLM_LONGEST
    with console.status("measuring ...") as status:

        def say(what: str) -> None:
            status.update(f"measuring: {what}")
            if not console.is_terminal:
                console.print(f"measuring: {what}")

        measuring = Measuring(
            client, names, base, known, longest, settings.news_interval_s + 0.1, say
        )
        fitted = fit(await measuring.measure(), known)
        traffic = _traffic(options, fitted.machine, len(names))
        arrivals = workload(traffic, options.seed, longest)
        say(f"{len(arrivals)} requests, {traffic.rate:.1f} a second, for the trial")
        answers = await measuring.replay(arrivals)
    begin_s, end_s = WARM_UP_SHARE * traffic.duration_s, traffic.duration_s
    goal = Goal(options.first_token_s, options.per_token_s)
    twin = simulated(fitted, arrivals, options.seed)
    return Found(
        fitted, traffic, facts(answers, begin_s, end_s, goal), facts(twin, begin_s, end_s, goal)
    )


def limits(settings: EngineSettings, kv_tokens: int) -> Machine:
    """What need not be measured, for it was set."""
    turns = settings.slot_turn_s > 0
    machine = Machine(
        max_num_seqs=settings.max_num_seqs or VLLM_SEATS,
        max_num_batched_tokens=int(settings.vllm.get("max_num_batched_tokens") or VLLM_TOKENS),
        kv_tokens=kv_tokens,
        max_loras=settings.max_loras,
        max_cpu_loras=settings.max_cpu_loras or 4 * settings.max_loras,
        slot_rule=SlotRule.TURNS if turns else SlotRule.PLAIN,
    )
    return replace(machine, turn_s=settings.slot_turn_s) if turns else machine


def _traffic(options: Options, machine: Machine, adapters: int) -> Traffic:
    made = Traffic(
        duration_s=options.seconds,
        adapters=adapters,
        zipf=options.zipf,
        base_share=0.0,
        prompt=options.prompt,
        output=options.answer,
        spread=options.spread,
    )
    return replace(made, rate=options.rate or OF_CAPACITY * capacity(machine, made))


def capacity(machine: Machine, traffic: Traffic) -> float:
    """Requests a second, about, with four streams in each slot."""
    streams = min(machine.max_num_seqs, 4 * machine.max_loras)
    step_s = machine.step_s + machine.decode_s * streams + machine.adapter_s * machine.max_loras
    each_s = traffic.output * step_s / streams + traffic.prompt * machine.prefill_s
    return 1 / each_s


def _key(ours: Ours, options: Options) -> str:
    """The key given, or the one of CONFIG that may use most."""
    if options.api_key:
        return options.api_key
    found = [(key, one) for one in ours.directory.tenants if (key := one.inference_key)]
    if not found:
        raise ConfigError(f"{options.config}: no tenant has a key; give one with --api-key")
    best, _ = max(found, key=lambda pair: ("*" in pair[1].adapters, len(pair[1].adapters)))
    return best


def _write(options: Options, found: Found) -> None:
    notes: dict[str, JsonValue] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": str(options.config),
        "overhead_s": found.fit.overhead_s,
        "trial": {"real": {**found.real}, "simulated": {**found.twin}, "error": {**found.errors}},
        "not_measured": "kv_tokens",
    }
    machine_file.write(options.out, found.fit.machine, notes)


def _failed(console: Console, why: object, code: int) -> int:
    console.print(f"error: {why}")
    return code
