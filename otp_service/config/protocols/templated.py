"""`TemplatedChannel`: what the tables of gateways have in common that hold the texts themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from otp_service.config.channel import ChannelSection, http_address

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}(/[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?)?")
_VALUE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


class TemplatedChannel(ChannelSection):
    templates: dict[str, str] = Field(
        description='the gateway\'s templates by purpose, such as login = "SMS_1234", or by "purpose/zh-CN"'
    )

    carries_text: ClassVar[bool] = False

    @field_validator("templates")
    @classmethod
    def _are_templates(cls, templates: dict[str, str]) -> dict[str, str]:
        for key, template in templates.items():
            if not _KEY.fullmatch(key):
                raise ValueError(f'{key[:48]!r} is no purpose; write "purpose" or "purpose/zh-CN"')
            if not template.strip():
                raise ValueError(f"{key!r} has an empty template; write the gateway's code or number of one")
        return templates


def check_values(values: Iterable[str]) -> None:
    """Raises ValueError: what is filled in is the code, once at least, and the minutes."""
    names = [name for value in values for name in _VALUE.findall(value)]
    for name in names:
        if name not in ("code", "minutes"):
            raise ValueError(f"{{{{ {name[:32]} }}}} is not known here; use {{{{ code }}}} and {{{{ minutes }}}}")
    if "code" not in names:
        raise ValueError("no value holds the code; write {{ code }} where it belongs")


def host_address(url: str) -> str:
    """Check an address whose path is not the operator's to choose, since it is signed. Raises ValueError."""
    if urlsplit(http_address(url)).path not in ("", "/"):
        raise ValueError("holds a path; write the scheme and host alone")
    return url
