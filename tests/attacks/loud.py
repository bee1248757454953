"""The command line with everything said aloud: every logger of every library at its finest, asyncio's and ours."""

from __future__ import annotations

import logging
import sys

from otp_service.cli import main
from otp_service.logs import configure_logs

if __name__ == "__main__":
    logging.basicConfig(level=1, stream=sys.stderr, format="%(name)s %(levelname)s %(message)s")
    configure_logs.__defaults__ = (logging.DEBUG,)
    main()
