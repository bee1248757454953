"""Where the API takes the reports that gateways push; the parts that read them are imported where one is pushed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otp_service import store
from otp_service.config import Config
from otp_service.keyring import Keyring
from otp_service.ports import Pushing, Report
from otp_service.web.pushes import PushDesk, ReadPush
from otp_service.wiring.channels import build_channel

if TYPE_CHECKING:
    from otp_service.reports import Ear

PUSH = "push"


def build_push_desk(config: Config, keyring: Keyring) -> PushDesk:
    """Raises ConfigError."""
    pushed_to = [section for section in config.channels if section.report_way == PUSH]
    if not pushed_to:
        return PushDesk()

    from otp_service.wiring.reports import ear

    readers: dict[str, ReadPush] = {}
    ears: dict[str, Ear] = {}
    for section in pushed_to:
        channel = build_channel(section)
        assert isinstance(channel, Pushing)
        readers[section.name] = channel.read_push
        ears[section.name] = ear(config, section, keyring)
    inbox = store.ReportInbox(store.connect(config.redis.url.get_secret_value()), config.redis.prefix)

    def keep(channel: str, reports: Sequence[Report]) -> None:
        inbox.keep(ears[channel].reports(reports))

    # Whoever guesses at names is kept waiting as long as for a name that there is.
    return PushDesk(readers, keep, next(iter(readers.values())), config.service.public_url)
