"""Opens a file of somebody else's directory without ever following a link or waiting for a pipe."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from serve_app.adapters.refusal import FILE_NOT_REGULAR, refusal

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def regular_file(name: str, directory: int) -> Iterator[BinaryIO]:
    """The file ``name`` of an open directory, for reading.

    Raises:
        AdapterRefused: it is a link, a pipe, a device, a socket or a directory.
        FileNotFoundError: there is none.
    """
    try:
        opened = os.open(name, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError:
        raise _not_regular(name) from None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise _not_regular(name)
    with os.fdopen(opened, "rb") as file:
        yield file


def _not_regular(name: str) -> Exception:
    return refusal(
        FILE_NOT_REGULAR, f"{name} must be a regular, readable file, not a link, pipe or device"
    )
