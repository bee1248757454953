"""Addresses to listen on: is one free, and which is."""

from __future__ import annotations

import socket
from collections.abc import Collection

from otp_service.config.fields import Address


def is_free(address: Address) -> bool:
    """Whether we could listen there. Asked without SO_REUSEPORT, with which two servers share a port unawares."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody uses at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def own_or_free(address: Address, taken: Collection[Address] = ()) -> Address:
    """The address itself, or a free port of its host where it is among `taken` or another process has it."""
    is_ours = address not in taken and is_free(address)
    return address if is_ours else Address(address.host, free_port(address.host))
