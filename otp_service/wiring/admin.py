"""What `admin_bind` serves, for API and worker alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from otp_service.config import Config
from otp_service.metrics import ConfigInUse, KeysInUse, Levels
from otp_service.web.admin import admin_app
from otp_service.web.health import Readiness
from otp_service.web.pulse import Pulse
from otp_service.wiring.callers import keys_in_use
from otp_service.wiring.operator import levels

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def build_admin(config: Config, is_up: Callable[[], bool], draining: Callable[[], bool]) -> WSGIApplication:
    """`is_up` asks whether Redis answers; `draining` takes this process out of the balancer."""
    in_use = ConfigInUse(config.mark(), time.time())
    collectors = (Levels(levels(config)), KeysInUse(keys_in_use(config)), in_use)
    pulse = Pulse(is_up)
    return admin_app(lambda: Readiness(draining=draining(), redis_up=pulse()), collectors=collectors)
