"""`python -m otp_service.health [ROLE]`: is the process of this container alive? Exit status 0 or 1, for HEALTHCHECK.

The role (serve, worker, simulator) is a word of the first process's command line; where that process is an
orchestrator's own, give the role. Reads OTP_CONFIG and …__ADMIN_BIND, but not the service: it runs every few seconds.
"""

from __future__ import annotations

import http.client
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def livez_address(command: str, environ: Mapping[str, str]) -> str:
    """`host:port` of the `/livez` that a process with this command line and environment serves."""
    options = dict(re.findall(r"--(port|config)[ =](\S+)", command))
    if "simulator" in command.split():
        return f"127.0.0.1:{options.get('port', 8025)}"
    file = options.get("config") or environ.get("OTP_CONFIG")
    tables = tomllib.loads(Path(file).read_text("utf-8")) if file else {}
    for section in ("delivery", "service") if "worker" in command.split() else ("service",):
        bind = environ.get(f"OTP_{section.upper()}__ADMIN_BIND") or tables.get(section, {}).get("admin_bind")
        if bind:
            return str(bind).replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104
    return "127.0.0.1:9000"


def is_alive(address: str) -> bool:
    with closing(http.client.HTTPConnection(address, timeout=2)) as connection:
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


if __name__ == "__main__":
    command = " ".join(sys.argv[1:]) or Path("/proc/1/cmdline").read_text("utf-8").replace("\0", " ")
    sys.exit(not is_alive(livez_address(command, os.environ)))
