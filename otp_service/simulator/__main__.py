"""`python -m otp_service.simulator`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from otp_service import __version__
from otp_service.simulator.app import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m otp_service.simulator", description="SMS gateway simulator")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8025, help="0 takes a free one")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a further Host name")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append every request and answer, codes in clear")
    parser.add_argument("--push-host", action="append", default=[], metavar="NAME", help="may be pushed reports")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    host = f"[{options.host}]" if ":" in options.host else options.host

    def ready(port: int) -> None:
        print(f"simulator http://{host}:{port}/", flush=True)

    try:
        run(
            options.host,
            options.port,
            allowed_hosts=options.allow_host,
            log=options.log,
            push_hosts=options.push_host,
            ready=ready,
        )
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            print(f"simulator: --log: can't write {options.log}: {error.strerror}", file=sys.stderr)
            return 1
        print(f"simulator: can't listen on {host}:{options.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
