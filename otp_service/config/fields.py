"""The types of the configuration's values, each of which says what it takes."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints

from otp_service.config.key_material import check_word, decode_key, decode_key_pair, decode_webhook_secret
from otp_service.locales import valid_locale
from otp_service.policy import Window

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
NAME_HINT = "a name of a-z, 0-9, _ and -, beginning with a letter, at most 32 characters"


_SUBTAG_CASE = {2: str.upper, 4: str.title}


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:([0-9]{1,5})|([^:\s]+):([0-9]{1,5})", value.strip())
    if match is None or not 1 <= int(match[2] or match[4]) <= 65535:
        raise ValueError("not an address and a port")
    return Address(match[1] or match[3], int(match[2] or match[4]))


def _items(value: object) -> object:
    """A list as the environment and secret files write it: a JSON or TOML array, or split at commas and line ends."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith("["):
        return [item.strip() for item in re.split(r"[,\n]", text) if item.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return _toml_array(text)


def _toml_array(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ValueError("begins like an array, but is neither a JSON nor a TOML one") from None


def _window(value: object) -> object:
    return Window.parse(value) if isinstance(value, str) else value


def _key(secret: SecretStr) -> SecretStr:
    decode_key(secret.get_secret_value())
    return secret


def _key_pair(secret: SecretStr) -> SecretStr:
    decode_key_pair(secret.get_secret_value())
    return secret


def _webhook_secret(secret: SecretStr) -> SecretStr:
    decode_webhook_secret(secret.get_secret_value())
    return SecretStr(secret.get_secret_value().strip())


def _word_secret(secret: SecretStr) -> SecretStr:
    check_word(secret.get_secret_value().strip())
    return SecretStr(secret.get_secret_value().strip())


def _locale(value: str) -> str:
    """`zh-CN` for `zh-cn` and the environment's `zh_cn`: the letter case of RFC 5646 §2.1.1."""
    tag = value.replace("_", "-")
    if not valid_locale(tag):
        raise ValueError("not a locale; write one such as zh-CN, zh-TW or en")
    language, *others = tag.lower().split("-")
    return "-".join([language, *(_SUBTAG_CASE.get(len(part), str.lower)(part) for part in others)])


def _number(value: Any) -> Any:
    """TOML's `true` is no number, although Python's is."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


BindAddress = Annotated[Address, BeforeValidator(_address)]
Limit = Annotated[Window, BeforeValidator(_window)]
Key = Annotated[SecretStr, AfterValidator(_key)]
KeyPair = Annotated[SecretStr, AfterValidator(_key_pair)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
WordSecret = Annotated[SecretStr, AfterValidator(_word_secret)]
"""Text that we chose and that a gateway is to show."""
WEBHOOK_SECRETS_HINT = 'one or two secrets "whsec_<base64 of 24 to 64 random bytes>", as Standard Webhooks has them'
Locale = Annotated[str, AfterValidator(_locale)]
Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
Items = BeforeValidator(_items)
"""Put on a tuple, lets one string stand for its items."""
