"""Puts the demo model on disk, once: the cache and the lock. Never imports torch itself."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock
from rich.console import Console

from serve_app.demo.lexicon import ADAPTERS
from serve_app.errors import ServeAppError

_PACKAGE = Path(__file__).parent
_STAMP = "recipe.sha256"
_LOCK = ".lock"
_UNFINISHED = ".unfinished-"
_PARTS = ("base", "adapters")
_NEEDS = ("torch", "transformers", "peft", "tokenizers")
# One thread: the model is too small to gain from more, and its weights then depend on no machine's
# number of cores.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}

Make = Callable[[Path, int], None]


class DemoFailed(ServeAppError):
    """The demo model cannot be made; the message says why."""


@dataclass(frozen=True)
class DemoModel:
    """Absolute folders of the base model and, by name, of its adapters."""

    base: Path
    adapters: Mapping[str, Path]


def make_apart(folder: Path, seed: int) -> None:
    """Make the model's files in `folder`, in a process with a fitting environment."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise DemoFailed(f"{', '.join(missing)} not installed: install serve-app with [cpu,demo]")
    paths = [str(_PACKAGE.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), **_ENVIRONMENT}
    command = [sys.executable, "-m", "serve_app.demo.making", str(folder), str(seed)]
    ended = subprocess.run(command, env=os.environ | environment, check=False)  # noqa: S603
    if ended.returncode:
        raise DemoFailed(f"making the demo model ended with status {ended.returncode}: see above")


def build(root: Path, seed: int = 0, *, force: bool = False, make: Make = make_apart) -> DemoModel:
    """Return the demo model in `root`, making it first (about a minute) unless it is there.

    Safe if several processes build at once: one makes it, the others wait and then find it made.
    Says on stderr what it does. Raises DemoFailed if `root` holds other things, or `make` fails to
    fill the folder it is given.
    """
    root, console = root.resolve(), Console(stderr=True)
    _claim(root)
    with FileLock(root / _LOCK):
        if not force and is_built(root, seed):
            console.out(f"demo model: already made, in {root}", highlight=False)
        else:
            console.out(f"demo model: making it in {root}, about a minute", highlight=False)
            _make(root, seed, make)
    return _model(root)


def is_built(root: Path, seed: int = 0) -> bool:
    """Whether `root` holds the whole model, made by this very recipe and seed."""
    model, stamp = _model(root), root / _STAMP
    folders = (model.base, *model.adapters.values())
    return (
        stamp.is_file()
        and stamp.read_text() == _recipe(seed)
        and all(any(folder.glob("*.safetensors")) for folder in folders)
    )


def _model(root: Path) -> DemoModel:
    return DemoModel(root / "base", {name: root / "adapters" / name for name in ADAPTERS})


def _recipe(seed: int) -> str:
    """Digest of all that decides what is made: this package's source, and the seed."""
    digest = hashlib.sha256(str(seed).encode())
    for source in sorted(_PACKAGE.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def _claim(root: Path) -> None:
    """Create `root`, or see that nothing in it would be lost to a build."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DemoFailed(f"{root} cannot be created: {problem.strerror}") from problem
    ours = {_STAMP, _LOCK, *_PARTS}
    names = (path.name for path in root.iterdir())
    other = [name for name in names if name not in ours and not name.startswith(_UNFINISHED)]
    if other:
        raise DemoFailed(f"{root} is not a folder of the demo model: it holds {other[0]!r}")


def _make(root: Path, seed: int, make: Make) -> None:
    """Make everything beside the old, then swap; the stamp goes first and comes back last."""
    for left in root.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
    new = Path(mkdtemp(prefix=_UNFINISHED, dir=root))
    try:
        make(new, seed)
        (root / _STAMP).unlink(missing_ok=True)
        for part in _PARTS:
            shutil.rmtree(root / part, ignore_errors=True)
            (new / part).rename(root / part)
        (root / _STAMP).write_text(_recipe(seed))
    finally:
        shutil.rmtree(new)
