"""This program's name, as it can be typed where it was started."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

NAME = "otp-service"


def program() -> str:
    """`otp-service` where PATH finds this one, else its path from the working directory.

    Run as a module there is no such path; the name then says what is meant.
    """
    started = sys.argv[0]
    if os.path.basename(started) != NAME:
        return NAME
    found = shutil.which(NAME)
    if found and os.path.realpath(found) == os.path.realpath(started):
        return NAME
    path = os.path.relpath(started)
    return shlex.quote(path if os.sep in path else os.path.join(os.curdir, path))


def as_typed(text: str) -> str:
    """A message whose `otp-service …` commands, which stand in backticks, can be copied."""
    return text.replace(f"`{NAME} ", f"`{program()} ")
