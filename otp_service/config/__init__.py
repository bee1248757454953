"""The configuration: one TOML file, the environment on top of it, read once and strictly."""

from otp_service.config.model import Config
from otp_service.config.restart import needs_restart
from otp_service.config.sections import BUILT_IN_PURPOSES
from otp_service.config.source import Tables, forget_checks, load, merge, parse, read_tables, read_text

__all__ = [
    "BUILT_IN_PURPOSES",
    "Config",
    "Tables",
    "forget_checks",
    "load",
    "merge",
    "needs_restart",
    "parse",
    "read_tables",
    "read_text",
]
