"""The challenge of an installation, where one is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service import store
from otp_service.challenge import Challenge
from otp_service.config import Config
from otp_service.config.challenge import ChallengeSection
from otp_service.keyring import Keyring
from otp_service.ports import Challenger

if TYPE_CHECKING:
    import redis


def build_challenge(config: Config, keyring: Keyring, client: redis.Redis) -> Challenge | None:
    """None where the configuration has no `[challenge]`."""
    section = config.challenge
    if section is None:
        return None
    return Challenge(
        build_challenger(section),
        store.RedisSpentTokens(client, config.redis.prefix),
        keyring.captcha,
        pass_when_silent=section.on_error == "pass",
    )


def build_challenger(section: ChallengeSection) -> Challenger:
    """Whoever asks for one closes it."""
    # Imported here: an installation without a challenge goes without an HTTP client.
    from otp_service import captchas

    settings = captchas.CaptchaSettings(
        verifier=section.verifier,
        site_key=section.site_key,
        secret=section.secret.get_secret_value().strip(),
        url=section.url,
        hostnames=frozenset(name.lower() for name in section.hostnames),
        action=section.action,
        timeout=section.timeout,
    )
    return captchas.build_challenger(settings)
