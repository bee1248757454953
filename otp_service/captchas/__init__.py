"""CAPTCHA services: one module a service. Each is the Challenger of `ports`; foreign errors become its two here."""

from otp_service.captchas.building import CaptchaSettings, build_challenger

__all__ = ["CaptchaSettings", "build_challenger"]
