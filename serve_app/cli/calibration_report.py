"""What ``serve-app calibrate`` found, for people and for programs."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from serve_app.simulator.calibration import Fit
from serve_app.simulator.reality import Facts, error
from serve_app.simulator.workload import Traffic


class Found:
    """The machine, and what became of both under the same requests."""

    def __init__(self, fitted: Fit, traffic: Traffic, real: Facts, twin: Facts) -> None:
        self.fit = fitted
        self.traffic = traffic
        self.real = asdict(real)
        self.twin = asdict(twin)
        self.errors = {name: error(self.real[name], self.twin[name]) for name in self.real}


def as_json(found: Found) -> dict[str, Any]:
    """Everything, in seconds."""
    return {
        "machine": asdict(found.fit.machine),
        "overhead_s": found.fit.overhead_s,
        "traffic": asdict(found.traffic),
        "real": found.real,
        "simulated": found.twin,
        "error": found.errors,
    }


def tables(found: Found) -> tuple[Table, Table]:
    """The machine, and the trial."""
    return _machine_table(found.fit), _trial_table(found)


def _machine_table(fitted: Fit) -> Table:
    machine = fitted.machine
    table = Table(title="the replica", title_justify="left", show_header=False)
    rows = (
        ("a step", machine.step_s),
        ("+ each decoding stream", machine.decode_s),
        ("+ each adapter", machine.adapter_s),
        ("+ each prompt token", machine.prefill_s),
        ("a file comes to the node", machine.stage_s),
        ("it is read into memory", machine.disk_s),
        ("it is put into a slot", machine.swap_s),
        ("outside the engine", fitted.overhead_s),
    )
    for what, seconds in rows:
        table.add_row(what, f"{1000 * seconds:.3g} ms")
    return table


def _trial_table(found: Found) -> Table:
    about = f"{found.traffic.rate:.1f} requests/s for {found.traffic.duration_s:g} s"
    table = Table(title=f"the same requests, {about}", title_justify="left")
    for title in ("", "real", "simulated", "error"):
        table.add_column(title, justify="left" if not title else "right")
    for name, (title, factor) in TITLES.items():
        off = found.errors[name]
        said = "" if off is None else f"{100 * off:+.0f}%"
        real, twin = factor * found.real[name], factor * found.twin[name]
        table.add_row(title, f"{real:,.3g}", f"{twin:,.3g}", said)
    return table


TITLES = {
    "first_p50_s": ("first token p50, ms", 1000),
    "first_p99_s": ("first token p99, ms", 1000),
    "tokens_per_s": ("tokens/s", 1),
    "cold": ("cold requests / 1,000", 1),
    "goodput": ("requests/s within the goal", 1),
    "refused": ("refused, %", 100),
}
