"""The fleets that the options of ``serve-app simulate`` name: every combination of what repeats."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from serve_app.cli.simulate import Options
from serve_app.errors import ConfigError
from serve_app.simulator import gpu, machine_file
from serve_app.simulator.baselines import POLICIES
from serve_app.simulator.fleet import Setup
from serve_app.simulator.gpu import GPUS, LLAMA_8B, GpuName, LoraSetting
from serve_app.simulator.machine import Machine
from serve_app.simulator.sweep import Setting

_DEFAULT_RANKS = (16,)

Ranked = tuple[Machine, int | None]
"""A replica, and the max_lora_rank it was reckoned for, if it was."""


@dataclass(frozen=True, slots=True)
class Fleets:
    """What is to be simulated.

    Attributes:
        machine: what a replica is, for a reader of the table.
        left_out: combinations that cannot be, and why.
    """

    settings: tuple[Setting, ...]
    machine: str
    left_out: tuple[str, ...]


def fleets(options: Options) -> Fleets:
    """Every combination that can be.

    Raises:
        ConfigError: a name is unknown, options contradict each other, or no combination can be.
    """
    setup = Setup(gateways=options.gateways, shedding=options.shed)
    policies = list(dict.fromkeys(_policies(options.policy)))
    if options.machine is not None:
        machines, left_out = _of_file(options)
        says = f"replicas as in {options.machine.name}"
    else:
        machines, left_out = _of_gpu(options)
        says = f"replicas: Llama 3.1 8B on one {_gpu(options)}, estimated, not measured"
    if not machines:
        raise ConfigError(left_out[0])
    settings = (Setting(name, one, rank, setup) for name in policies for one, rank in machines)
    return Fleets(tuple(settings), says, tuple(left_out))


def _policies(asked: list[str]) -> Iterator[str]:
    by_lower = {name.lower(): name for name in POLICIES}
    for name in asked or ["serve_app"]:
        if name.lower() == "all":
            yield from POLICIES
        elif name.lower() in by_lower:
            yield by_lower[name.lower()]
        else:
            known = ", ".join(POLICIES)
            raise ConfigError(f"there is no policy {name!r}; there are all, {known}")


def _of_file(options: Options) -> tuple[list[Ranked], list[str]]:
    assert options.machine is not None
    if options.gpu or options.rank:
        raise ConfigError("--machine says what a replica is: leave --gpu and --rank out")
    measured = machine_file.read(options.machine)
    machines: list[Ranked] = []
    left_out: list[str] = []
    slots = options.max_loras or [measured.max_loras]
    held = options.max_cpu_loras or [max(measured.max_cpu_loras, *slots, 1)]
    for max_loras, max_cpu_loras in product(slots, held):
        if max_cpu_loras < max_loras:
            left_out.append(_too_few(max_cpu_loras, max_loras))
            continue
        one = replace(measured, max_loras=max_loras, max_cpu_loras=max_cpu_loras)
        machines.append((one, None))
    return machines, left_out


def _of_gpu(options: Options) -> tuple[list[Ranked], list[str]]:
    default = LoraSetting()
    slots = options.max_loras or [default.max_loras]
    held = options.max_cpu_loras or [max(default.max_cpu_loras, *slots, 1)]
    context = options.prompt + options.answer // 2
    machines: list[Ranked] = []
    left_out: list[str] = []
    for rank, max_loras, max_cpu_loras in product(options.rank or _DEFAULT_RANKS, slots, held):
        setting = LoraSetting(
            max_loras=max_loras,
            max_lora_rank=rank,
            max_cpu_loras=max_cpu_loras,
            adapter_rank=options.adapter_rank,
            context=context,
        )
        if max_cpu_loras < max_loras:
            left_out.append(_too_few(max_cpu_loras, max_loras))
            continue
        try:
            machines.append((gpu.machine(GPUS[_gpu(options)], LLAMA_8B, setting), rank))
        except ConfigError as error:
            left_out.append(str(error))
    return machines, left_out


def _too_few(max_cpu_loras: int, max_loras: int) -> str:
    return f"max_cpu_loras {max_cpu_loras} must be at least max_loras {max_loras}"


def _gpu(options: Options) -> GpuName:
    try:
        return GpuName((options.gpu or GpuName.H100).lower())
    except ValueError:
        known = ", ".join(GpuName)
        raise ConfigError(f"there is no GPU {options.gpu!r}; there are {known}") from None
