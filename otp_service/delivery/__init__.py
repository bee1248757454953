"""From the outbox to the gateways: `Worker` takes what waits, `Delivery` hands one send over, `Composer` writes it."""

from otp_service.delivery.composer import Composer, Voice
from otp_service.delivery.delivery import Delivery, Route
from otp_service.delivery.routing import Router
from otp_service.delivery.worker import Worker

__all__ = ["Composer", "Delivery", "Route", "Router", "Voice", "Worker"]
