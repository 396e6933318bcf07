"""Makes the demo model's files, in a process of its own: only it holds torch and its threads.

`python -m serve_app.demo.making FOLDER SEED` leaves `FOLDER/base` and `FOLDER/adapters/<name>`.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from transformers import LlamaForCausalLM

from serve_app.demo.attempts import until_tight
from serve_app.demo.files import load_tokenizer, load_voices, save_adapter, save_base
from serve_app.demo.leakage import Leakage, Probe
from serve_app.demo.lexicon import ADAPTERS, BASE
from serve_app.demo.prompts import prompts
from serve_app.demo.tokenizer import make_tokenizer
from serve_app.demo.training import ADAPTER_STEPS, BASE_STEPS, train_adapter, train_base
from serve_app.demo.vocabulary import vocabulary_of

Report = Callable[[str], None]


class Maker:
    """Trains, saves and checks one voice after another, the base first.

    `report` hears, at each step, what is being done.
    """

    _base: LlamaForCausalLM

    def __init__(self, folder: Path, seed: int, report: Report) -> None:
        self._folder, self._seed, self._report = folder, seed, report
        self._tokenizer = make_tokenizer()
        self._vocabulary = vocabulary_of(self._tokenizer)

    def make(self, voice: str, attempt: int) -> Leakage:
        """Make `voice`, and measure how far it can be told apart.

        Each attempt has its own seed, and a later one takes its time.
        """
        seed, steps = self._seed + attempt, _steps(voice, attempt)
        if voice == BASE:
            self._base = train_base(self._vocabulary, seed, partial(self._report, voice), steps)
            save_base(self._base, self._tokenizer, self._folder / BASE)
        else:
            self._make_adapter(voice, seed, steps)
        self._report(f"checking {voice}")
        return self._measure(voice)

    def _make_adapter(self, name: str, seed: int, steps: int) -> None:
        advance = partial(self._report, name)
        adapter = train_adapter(self._base, self._vocabulary, name, seed, advance, steps)
        save_adapter(adapter, self._folder / "adapters" / name)

    def _measure(self, voice: str) -> Leakage:
        """Read back what was made, as bfloat16, and let it answer."""
        tokenizer = load_tokenizer(self._folder / BASE)
        adapters = {name: self._folder / "adapters" / name for name in {voice} - {BASE}}
        probe = Probe(tokenizer, vocabulary_of(tokenizer))
        voices = load_voices(self._folder / BASE, adapters, torch.bfloat16)
        return next(
            probe.measure(model, voice, prompts()) for name, model in voices if name == voice
        )


def main(folder: Path, seed: int) -> None:
    """Make every voice, with a progress bar on stderr; exits with 1 if one may be confused."""
    with _progress() as progress:
        bar = progress.add_task("", total=sum(_ticks(voice, 0) for voice in (BASE, *ADAPTERS)))
        maker = Maker(folder, seed, lambda what: progress.update(bar, advance=1, description=what))
        for voice in (BASE, *ADAPTERS):
            leak = until_tight(partial(maker.make, voice), partial(_again, progress))
            if not leak.tight:
                raise SystemExit(f"error: a voice of the demo model can be confused: {leak}")


def _again(progress: Progress, leak: Leakage, attempt: int) -> None:
    """Say that a voice is made again, and let the bar wait for it."""
    progress.console.out(
        f"demo model: training again, as it can be confused: {leak}", highlight=False
    )
    for task in progress.tasks:
        progress.update(task.id, total=(task.total or 0) + _ticks(leak.voice, attempt))


def _steps(voice: str, attempt: int) -> int:
    return (BASE_STEPS if voice == BASE else ADAPTER_STEPS) * (1 + attempt)


def _ticks(voice: str, attempt: int) -> int:
    """How often one attempt reports: at each step, and once when it checks."""
    return _steps(voice, attempt) + 1


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
