"""The administrative address: a small server on a thread, beside whatever the process is there for."""

from __future__ import annotations

import socket
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from otp_service.cli.addresses import own_or_free
from otp_service.cli.options import warn
from otp_service.config.fields import Address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no news; the library would write his address to stderr, and a traceback."""

    def server_bind(self) -> None:
        # http.server asks the DNS for the host's full name here, which can take seconds and is used by nobody.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds for a request to come in, so that idle connections hold no threads

    def log_message(self, format: str, *args: object) -> None:
        """The application logs what is worth it; the request line may hold anything."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of a request that can't be read. The library's words for it repeat the request."""
        super().send_error(code)


def admin_server(address: Address, app: WSGIApplication) -> WSGIServer:
    """A server that listens, and is still to be run. Raises OSError when the address can't be had."""
    server = (_ServerV6 if ":" in address.host else _Server)(address, _Handler)
    server.set_app(app)
    return server


def serve_admin(address: Address, app: WSGIApplication) -> None:
    """Serve `app` until the process ends. Raises OSError when the address can't be had."""
    threading.Thread(target=admin_server(address, app).serve_forever, name="admin", daemon=True).start()


def shared_admin_address(wanted: Address) -> Address:
    """Processes on one host read the same file: the second of them must take another port."""
    address = own_or_free(wanted)
    if address != wanted:
        warn(f"admin_bind {wanted} is taken, perhaps by another process of ours; admin is at http://{address}")
    return address
