"""Ends a run whose launcher is gone, even by SIGKILL.

The launcher alone holds the other end of our standard input. When it closes without a word, the
launcher was killed. This process does not carry the run's mark: no sweep takes it before its work.
"""

import shutil
import signal
import sys
import time
from pathlib import Path

from serve_app.cli import processes

ALL_ENDED = b"ended"
"""What a launcher says that has done the work itself."""

_NEWBORN_S = 1.0
"""A process that was being started as the launcher died shows its mark a moment later."""


def main() -> None:
    """``python -m serve_app.cli.guardian RUN DIRECTORY``."""
    run, directory = sys.argv[1:]
    for ask in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ask, signal.SIG_IGN)
    if sys.stdin.buffer.read() != ALL_ENDED:
        processes.end(run)
        time.sleep(_NEWBORN_S)
        processes.end(run)
    shutil.rmtree(Path(directory), ignore_errors=True)


if __name__ == "__main__":
    main()
