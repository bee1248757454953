"""What `doctor` finds of the texts: what each costs, who can't have one in his language, and what it promises."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.cli.findings import Finding, Level
from otp_service.config import Config
from otp_service.config.channel import ChannelSection
from otp_service.config.channel_texts import ChannelTexts
from otp_service.locales import pick_locale
from otp_service.messages import other_times, standing_in


def of_texts(config: Config, channel: ChannelSection) -> Iterator[Finding]:
    said = config.texts()[channel.name]
    for purpose, sizes in said.parts.items():
        about = f"texts of {purpose} on {channel.name}"
        shown = ", ".join(f"{locale} {size.parts} ({size.units} {size.encoding})" for locale, size in sizes.items())
        yield Finding(Level.OK, about, f"SMS each: {shown}")
        for text in _doubts(config, said, purpose):
            yield Finding(Level.WARN, about, text)


def _doubts(config: Config, said: ChannelTexts, purpose: str) -> Iterator[str]:
    rules, texts, left_out = config.purposes[purpose], said.catalogue.texts(purpose), said.catalogue.left_out(purpose)
    default = standing_in(rules.locale, texts)
    if left_out:
        locale, why = next(iter(left_out.items()))
        lines = [key for key in ("webotp_host", "android_hash") if getattr(rules, key)]
        counted = f" The line of {' and '.join(lines)} counts." if lines else ""
        yield (
            f"the built-in texts of {', '.join(left_out)} do not fit, so whoever asks for one reads {default}; "
            f"{locale}: {why.partition(': ')[2]}{counted}"
        )
    if not pick_locale(rules.locale, texts, ""):
        yield (
            f'purposes.{purpose}.locale = "{rules.locale}" has no text, so {default} stands in; write one of '
            f"{', '.join(texts)}, or a text of its own in [messages.{purpose}]"
        )
    for locale, text in texts.items():
        if others := list(other_times(text, config.variables, rules.ttl)):
            yield (
                f"{locale} says {', '.join(others)}, and ttl = {rules.ttl} seconds; if it promises how long the code "
                "is good, write {{ minutes }}"
            )
