"""What must be true of the Redis server, and of the environment, before anything serves."""

from __future__ import annotations

from collections.abc import Mapping

from otp_service import store
from otp_service.config import Config
from otp_service.errors import ConfigError
from otp_service.redis_url import where
from otp_service.store.facts import NO_FENCE, Lack, ServerFacts, Shared, Unreachable
from otp_service.store.keys import Keys
from otp_service.wiring.channels import channel_settings, check_reports


def ask_server(config: Config) -> ServerFacts:
    """Raises store.facts.Unreachable."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        return ServerFacts.ask(client, _shared(config))
    finally:
        client.close()


def _shared(config: Config) -> Shared:
    keys = Keys(config.redis.prefix)
    of_starts = [keys.pauses(), *(keys.channel(one.name) for one in config.channels)]
    if config.pumping.mode != "off":
        of_starts.append(keys.guard_control())
    return Shared([keys.revoked()], of_starts)


def all_lost(config: Config, error: Unreachable) -> Lack:
    """Nothing of Redis answers, and why."""
    return Lack.of_all(where(config.redis.url.get_secret_value()), error)


def refuse_unfit(config: Config, facts: ServerFacts) -> None:
    """Every key of ours has a TTL, so an evicting server would reset limits and lose sends: refuse it.

    Raises ConfigError.
    """
    if facts.evicts and not config.redis.allow_eviction:
        raise ConfigError(
            f"redis: maxmemory-policy is {facts.eviction_policy}, which evicts keys, and with them limits and sends; "
            "set it to noeviction on the server, or redis.allow_eviction = true to accept the loss"
        )
    if config.redis.fence and not facts.info_in_scripts:
        raise ConfigError(f"redis: {NO_FENCE}")


def check_server(config: Config) -> str | None:
    """As `refuse_unfit`, of the server as it is now.

    Returns a warning where it does not tell, or where somebody gets no answer before something is mended. Raises
    ConfigError, or store.facts.Unreachable.
    """
    facts = ask_server(config)
    refuse_unfit(config, facts)
    warnings = []
    if facts.eviction_policy is None:
        warnings.append("redis: the server does not tell its maxmemory-policy; make sure that it is noeviction")
    warnings += [f"redis: {lack.text}" for lack in facts.lacks(config.redis.durability)]
    return "; ".join(warnings) or None


def check_start(config: Config, environ: Mapping[str, str]) -> None:
    """What can be refused before anything is asked over the network. Raises ConfigError."""
    if environ.get("FLASK_DEBUG", "0").lower() not in {"", "0", "false", "no"}:  # Flask's own words for "off"
        raise ConfigError("FLASK_DEBUG is set: a debugger gives away codes and keys; unset it")
    for channel in config.channels:
        channel_settings(channel)
        check_reports(channel)
