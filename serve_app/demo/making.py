"""Makes the demo model's files, in a process of its own: only it holds torch and its threads.

`python -m serve_app.demo.making FOLDER SEED` leaves `FOLDER/base` and `FOLDER/adapters/<name>`.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from serve_app.demo.files import load_tokenizer, load_voices, save_adapter, save_base
from serve_app.demo.leakage import Leakage, Probe
from serve_app.demo.lexicon import ADAPTERS
from serve_app.demo.prompts import prompts
from serve_app.demo.tokenizer import make_tokenizer
from serve_app.demo.training import ADAPTER_STEPS, BASE_STEPS, train_adapter, train_base
from serve_app.demo.vocabulary import vocabulary_of

_CHECKS = 1 + len(ADAPTERS)

Report = Callable[[str], None]


def make(folder: Path, seed: int, report: Report) -> None:
    """Train and save the base and all adapters; `report` hears at each step what is being made."""
    tokenizer = make_tokenizer()
    vocabulary = vocabulary_of(tokenizer)
    base = train_base(vocabulary, seed, partial(report, "base model"))
    save_base(base, tokenizer, folder / "base")
    for name in ADAPTERS:
        adapter = train_adapter(base, vocabulary, name, seed, partial(report, name))
        save_adapter(adapter, folder / "adapters" / name)


def check(folder: Path, report: Report) -> Iterator[Leakage]:
    """Read back what was made, as bfloat16, and measure how far each voice can be told apart."""
    tokenizer = load_tokenizer(folder / "base")
    probe = Probe(tokenizer, vocabulary_of(tokenizer))
    adapters = {name: folder / "adapters" / name for name in ADAPTERS}
    for name, model in load_voices(folder / "base", adapters, torch.bfloat16):
        report("checking")
        yield probe.measure(model, name, prompts())


def main(folder: Path, seed: int) -> None:
    """Make and check, with a progress bar on stderr; exits with 1 if two voices may be confused."""
    with _progress() as progress:
        bar = progress.add_task("", total=BASE_STEPS + len(ADAPTERS) * ADAPTER_STEPS + _CHECKS)

        def report(what: str) -> None:
            progress.update(bar, advance=1, description=what)

        make(folder, seed, report)
        leaks = list(check(folder, report))
    loose = [leak for leak in leaks if not leak.tight]
    if loose:
        raise SystemExit(f"error: the voices of the demo model can be confused: {loose}")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:24}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
