"""Connects only to addresses of the open internet, whatever a name resolves to at that moment.

The address that was looked at is the one that is connected to: a name cannot change in between.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import httpcore

from serve_app.errors import SourceNotAllowed

Resolve = Callable[[str, int], list[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_BYTES = 4


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host, the preferred first.

    Raises:
        httpcore.ConnectError: the name is not known.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return [str(address[0]) for *_, address in found]


def is_public(address: str, *, loopback: bool = False) -> bool:
    """Whether ``address`` belongs to the open internet, in whatever wrapping it comes."""
    try:
        ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if ip.is_loopback:
        return loopback
    return ip.is_global and not ip.is_multicast


def _unwrapped(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(ip.packed[-_V4_BYTES:])
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


class GuardedNetwork(httpcore.NetworkBackend):
    """Sockets to public addresses.

    Args:
        loopback: this very machine counts as public. For tests.
    """

    def __init__(self, *, loopback: bool = False, lookup: Resolve = resolve) -> None:
        self._loopback = loopback
        self._lookup = lookup
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._lookup(host, port)
        if not addresses or not all(is_public(a, loopback=self._loopback) for a in addresses):
            raise SourceNotAllowed("the source's host is not one of the open internet")
        return self._first(addresses, port, timeout, local_address, socket_options)

    def _first(self, addresses: list[str], *options: Any) -> httpcore.NetworkStream:
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._sockets.connect_tcp(address, *options)
        return self._sockets.connect_tcp(addresses[-1], *options)
