"""One module a protocol: its table. Each key's `description` finishes the sentence "write …" of the error about it."""

from otp_service.config.protocols.any_channel import AnyChannel
from otp_service.config.protocols.templated import TemplatedChannel

__all__ = ["AnyChannel", "TemplatedChannel"]
