"""Events to callers, by Standard Webhooks: queued for each webhook that wants them, and sent until it takes them."""

from otp_service.hooks.dispatcher import Dispatcher
from otp_service.hooks.lane import Lane

__all__ = ["Dispatcher", "Lane"]
