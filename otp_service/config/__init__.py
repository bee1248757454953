"""The configuration: one TOML file, the environment on top of it, read once and strictly."""

from otp_service.config.model import Config
from otp_service.config.source import Tables, load, merge, parse, read_tables

__all__ = ["Config", "Tables", "load", "merge", "parse", "read_tables"]
