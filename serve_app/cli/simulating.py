"""``serve-app simulate`` at work: the traffic and the fleets that were asked for, tables, files."""

import json
import os
from collections.abc import Iterable, Sequence
from random import Random
from typing import TypeVar

import typer
from rich.console import Console, RenderableType
from rich.progress import track

from serve_app.cli.exits import CONFIG_REFUSED, STOPPED
from serve_app.cli.fleets import fleets
from serve_app.cli.options import Output
from serve_app.cli.simulate import Options
from serve_app.errors import ConfigError
from serve_app.simulator import sweep_report as report
from serve_app.simulator import trace
from serve_app.simulator.request import Arrival
from serve_app.simulator.sweep import Goal, Setting, Traces, runs, sizes
from serve_app.simulator.workload import WORKLOADS, Traffic

Done = TypeVar("Done")

_WIDTH = 120
_DEFAULT_REPLICAS = (4,)


def simulate(options: Options) -> int:
    """Returns the exit code; says what is wrong on standard error."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        _Command(options, console).run()
    except ConfigError as error:
        console.print(f"error: {error}")
        return CONFIG_REFUSED
    except OSError as error:
        console.print(f"error: {options.out}: {error.strerror or error}")
        return CONFIG_REFUSED
    return STOPPED


class _Command:
    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._goal = Goal(options.first_token_s, options.per_token_s)
        self._jobs = options.jobs or os.cpu_count() or 1

    def run(self) -> None:
        options = self._options
        if options.goal is not None and options.replicas:
            raise ConfigError("--goal finds the number of replicas: leave --replicas out")
        found = fleets(options)
        for one in found.left_out:
            self._console.print(f"left out: {one}")
        longest = min(one.machine.kv_tokens for one in found.settings)
        traces, says = self._recorded(longest) if options.trace else self._made_up(longest)
        options.out.mkdir(parents=True, exist_ok=True)
        title = f"{says}\n{found.machine}"
        if options.goal is None:
            self._results(found.settings, traces, title)
        else:
            self._sizes(found.settings, traces, title, options.goal)

    def _results(self, settings: Sequence[Setting], traces: Traces, title: str) -> None:
        replicas = self._options.replicas or _DEFAULT_REPLICAS
        done = runs(settings, replicas, traces, self._goal, self._jobs)
        results = self._track(done, len(settings) * len(replicas))
        rows = [one.row() for one in results]
        report.write(self._options.out / "simulate.csv", rows)
        report.draw_results(self._options.out / "simulate.png", results, title)
        self._print(rows, title, [report.results_table(results, self._with_goal(title))])

    def _sizes(self, settings: Sequence[Setting], traces: Traces, title: str, share: float) -> None:
        done = sizes(settings, traces, self._goal, share, self._options.most, self._jobs)
        found = self._track(done, len(settings))
        rows = [one.row() for one in found]
        report.write(self._options.out / "simulate.csv", rows)
        report.draw_sizes(self._options.out / "simulate.png", found, title)
        words = [report.in_words(one, share) for one in found]
        self._print(rows, title, [report.sizes_table(found, self._with_goal(title)), *words])

    def _track(self, done: Iterable[Done], number: int) -> list[Done]:
        progress = track(done, "simulating", number, console=self._console, transient=True)
        return list(progress)

    def _with_goal(self, title: str) -> str:
        goal = self._goal
        within = f"first token <= {goal.first_token_s:g} s, {1000 * goal.per_token_s:g} ms a token"
        return f"{title}\ngoal: {within}"

    def _print(
        self, rows: Sequence[report.Row], title: str, said: Sequence[RenderableType]
    ) -> None:
        if self._options.output is Output.JSON:
            about = {"traffic_and_machine": title.split("\n"), "goal": self._with_goal("").strip()}
            typer.echo(json.dumps({**about, "results": rows}, indent=2))
            return
        console = Console(width=max(_WIDTH, Console().width), highlight=False, markup=False)
        console.print(*said, sep="\n")
        names = " and ".join(str(self._options.out / f"simulate.{kind}") for kind in ("csv", "png"))
        self._console.print(f"written: {names}")

    def _made_up(self, longest: int) -> tuple[Traces, str]:
        """Traffic from a generator, once a seed."""
        options = self._options
        make = WORKLOADS.get(options.workload)
        if make is None:
            known = ", ".join(WORKLOADS)
            raise ConfigError(f"there is no workload {options.workload!r}; there are {known}")
        by_seed = [
            list(make(self._about(), Random(f"{options.workload} {seed}")))
            for seed in range(options.seeds)
        ]
        fit = [tuple(one for one in all_ if _tokens(one) <= longest) for all_ in by_seed]
        self._say_skipped(sum(map(len, by_seed)) - sum(map(len, fit)), longest)
        if not all(fit):
            raise ConfigError("no request comes: raise --rate or --duration-s")
        says = (
            f"{options.workload}, {options.rate:g} requests/s for {options.duration_s:g} s, "
            f"{options.adapters} adapters, Zipf {options.zipf:g}, prompts of {options.prompt} and "
            f"answers of {options.answer} tokens (medians), {_seeds(options.seeds)}"
        )
        return Traces(tuple(fit), options.warm_up), says

    def _recorded(self, longest: int) -> tuple[Traces, str]:
        """Traffic from a file; what it lacks is made up, once a seed."""
        options = self._options
        assert options.trace is not None
        read = [
            trace.read(
                options.trace,
                trace.Reading(self._about(), seed, options.speed, options.limit, longest),
            )
            for seed in range(options.seeds)
        ]
        first = read[0]
        self._say_skipped(first.skipped, longest)
        traces = Traces(tuple(one.arrivals for one in read), options.warm_up)
        adapters = (
            f"{len({one.adapter for one in first.arrivals} - {None})} adapters as recorded"
            if first.named
            else f"{options.adapters} adapters dealt by Zipf {options.zipf:g}, for it names none"
        )
        says = (
            f"{options.trace.name}, {first.kind}: {len(first.arrivals)} requests in "
            f"{first.arrivals[-1].at_s:.0f} s at {options.speed:g} x its speed, {adapters}, "
            f"{_seeds(options.seeds)}"
        )
        return traces, says

    def _about(self) -> Traffic:
        options = self._options
        return Traffic(
            rate=options.rate,
            duration_s=options.duration_s,
            adapters=options.adapters,
            zipf=options.zipf,
            base_share=options.base_share,
            prompt=options.prompt,
            output=options.answer,
            spread=options.spread,
        )

    def _say_skipped(self, number: int, longest: int) -> None:
        if number:
            self._console.print(
                f"skipped: {number} requests that failed or have more than {longest} tokens, "
                "for which the KV cache has room"
            )


def _tokens(arrival: Arrival) -> int:
    return arrival.prompt + arrival.output


def _seeds(number: int) -> str:
    return "one seed" if number == 1 else f"mean of {number} seeds"
