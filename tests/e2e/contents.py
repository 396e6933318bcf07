"""Contents to register: each speaks with one voice of the demo and has a digest of its own."""

import json
import shutil
from pathlib import Path

from serve_app.adapters.version import CONFIG_FILE, FILES
from tests.harness import REPOSITORY

DEMO = REPOSITORY / ".demo" / "adapters"


def write_content(folder: Path, voice: str, mark: str) -> str:
    """A copy of the voice's adapter in ``folder``, made unlike any other by ``mark``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(DEMO / voice / name, folder / name)
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"revision": mark}))
    return str(folder)
