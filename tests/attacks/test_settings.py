"""Settings that would end a line or imitate one: refused at the start, by name, whichever protocol they belong to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from otp_service import config
from otp_service.channels import AliyunChannel, AliyunSettings, TencentChannel, TencentSettings
from otp_service.config.channel import ChannelSection, http_address
from otp_service.config.explain import plain
from otp_service.config.protocols import AnyChannel
from otp_service.errors import ConfigError
from otp_service.ports import Message, Outcome
from otp_service.wiring.channels import channel_settings
from tests.test_config import EXAMPLE, read
from tests.test_messages import TRICKS
from tests.test_vendor_config import KEYS as OF_VENDORS

WHSEC = f"whsec_{base64.b64encode(hashlib.sha256(b'a webhook').digest()).decode()}"
KEYS: dict[str, dict[str, Any]] = OF_VENDORS | {
    "sms_aspx": {"url": "http://gw.example/", "account": "a", "password": "p", "signature": "今信科技"},
    "webhook": {"url": "https://own.example/", "secrets": [WHSEC]},
    "smpp": {"host": "127.0.0.1", "system_id": "x", "password": "p"},
    "email": {"host": "127.0.0.1", "tls": "none", "sender": "a@b.example", "address": "{{ digits }}@sms.example"},
    "http_template": {"url": "https://own.example/", "body": "t={{ to }}&m={{ text }}", "accept": [{"status": 200}]},
}
SECTIONS: dict[str, type[ChannelSection]] = {
    typing.get_args(section.model_fields["protocol"].annotation)[0]: section
    for section in typing.get_args(typing.get_args(AnyChannel)[0])
}
MANY_LINES = {("http_template", "body")}
"""Written for a body, where a line end is a character like any other."""
ENDS = ("\r\nX-Evil: 1", "\n", "\x00", "\u2028", "\x85", "\x1b[31m")


def settings_of(protocol: str, **changes: Any) -> Any:
    """What the adapter gets, as a start makes it. Raises ConfigError."""
    tables = tomllib.loads(EXAMPLE)
    tables["channels"].insert(0, {"name": "attacked", "protocol": protocol} | KEYS[protocol] | changes)
    return channel_settings(config.parse(tables, {}, Path()).channels[0])


def text_keys(protocol: str) -> list[str]:
    fields = SECTIONS[protocol].model_fields
    return [key for key in fields if key != "protocol" and plain(fields[key].annotation) in (str, SecretStr)]


def refusal_of(protocol: str, **changes: Any) -> str:
    """The words of the refusal; "" for what is taken."""
    try:
        settings_of(protocol, **changes)
    except ConfigError as refused:
        return str(refused)
    return ""


def assert_refused(protocol: str, ends: Sequence[str]) -> None:
    assert refusal_of(protocol) == ""
    for key in text_keys(protocol):
        good = KEYS[protocol].get(key) or ("http://p.example:1" if key in {"proxy", "status_callback"} else "abc")
        for end in ends:
            said = refusal_of(protocol, **{key: good + end})
            assert bool(said) is ((protocol, key) not in MANY_LINES), key
            assert "X-Evil" not in said, key
            assert all(line.isprintable() for line in said.split("\n")), key


@pytest.mark.parametrize("protocol", SECTIONS)
def test_no_key_of_a_channel_takes_a_line_end(protocol: str) -> None:
    """T51, small: sender, signature, callback, address, login and all others."""
    assert_refused(protocol, ENDS[:1])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", SECTIONS)
def test_no_key_of_a_channel_takes_a_control_character(protocol: str) -> None:
    """T51."""
    assert_refused(protocol, ENDS)


@pytest.mark.parametrize("end", ENDS)
def test_no_port_number_and_no_address_outside_a_channel_takes_one_either(end: str) -> None:
    """T51: what a client's extno, the public address, a webhook and a host of the last line would carry on."""
    webhook = {"name": "shop", "url": f"https://shop.example/{end}", "secrets": [WHSEC]}
    for changes in (
        {"channels__extnos": {"shop": f"1{end}"}},
        {"service__public_url": f"https://otp.example{end}"},
        {"purposes__login__webotp_host": f"login.example{end}"},
        {"webhooks": [webhook]},
    ):
        with pytest.raises(ConfigError):
            read(**changes)


READ_DIFFERENTLY = (
    *("http://gw\t/", "http://g w/", " http://gw/", "http://gw/ü", "http://müller/", "http://ｇw/", "http://gw:x/"),
    *("http://gw:99999/", "http://gw:0/", "http://[::1/", "http://gw\\@evil/", "http://u:p@gw/", "http:///x", "//gw/"),
)


@pytest.mark.parametrize("url", READ_DIFFERENTLY)
def test_an_address_that_two_readers_read_differently_is_refused(url: str) -> None:
    """T51: some drop a tab, some end the host at a backslash; and a port that can't be read stops the start, no try."""
    with pytest.raises(ValueError, match=r"address|write it as|Invalid|own keys"):
        http_address(url)


@pytest.mark.parametrize("protocol", ["sms_aspx", "twilio", "aliyun", "tencent", "vonage", "webhook", "http_template"])
def test_every_protocol_reads_its_address_so(protocol: str) -> None:
    """T51."""
    assert "channels.attacked.url: holds a blank" in refusal_of(protocol, url="http://gw\t/")


@pytest.mark.parametrize(
    "channel",
    [
        AliyunChannel(AliyunSettings("a", "http://127.0.0.1:1", "é", "s", "今信", {"login": "1"}, {"c": "{{ code }}"})),
        TencentChannel(TencentSettings("t", "http://127.0.0.1:1", "g", "é", "s", "1", "今信", {"login": "1"}, ("1",))),
    ],
    ids=["aliyun", "tencent"],
)
def test_a_login_that_no_header_can_hold_costs_a_try_and_never_the_worker(
    channel: AliyunChannel | TencentChannel,
) -> None:
    """T51: it is an outcome like another."""

    async def deliver() -> Outcome:
        try:
            return (await channel.deliver(Message("+8613800138000", "345678", code="345678", purpose="login"))).outcome
        finally:
            await channel.aclose()

    assert asyncio.run(deliver()) is not Outcome.ACCEPTED


def assert_no_start(value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(messages__login={"en": "{{ code }} is your {{ brand }} code."}, variables={"brand": value})
    assert "variable brand" in str(refused.value)
    assert "\n@evil" not in str(refused.value)


@pytest.mark.parametrize("trick", ["line feed", "second signature"])
def test_a_trick_in_a_variable_stops_the_start(trick: str) -> None:
    """T46, small: the configuration is where a value comes from; a start that passes has none of them."""
    assert_no_start(TRICKS[trick])


@pytest.mark.slow
@pytest.mark.parametrize("trick", TRICKS)
def test_every_trick_in_a_variable_stops_the_start(trick: str) -> None:
    """T46."""
    assert_no_start(TRICKS[trick])
