"""The vendors' `[[channels]]` tables: what loads becomes a channel, what can't work is named by its key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.channels import AliyunChannel, TencentChannel, TwilioChannel, VonageChannel
from otp_service.channels.http.request import build_request
from otp_service.channels.signing import host_header
from otp_service.cli.findings import Level, of_real_send
from otp_service.errors import ConfigError
from otp_service.wiring.channels import build_channel, channel_settings
from tests.raw_gateway import RawGateway, http_answer, says
from tests.test_config import EXAMPLE

SID = "AC" + "0" * 32
SECRET = "never-to-be-shown-0123456789"
KEYS: dict[str, dict[str, Any]] = {
    "twilio": {"account_sid": SID, "auth_token": SECRET, "sender": "+15005550006"},
    "aliyun": {
        "access_key_id": "LTAI",
        "access_key_secret": SECRET,
        "signature": "今信科技",
        "purposes": ["login"],
        "templates": {"login": "SMS_1001"},
    },
    "tencent": {
        "secret_id": "AKID",
        "secret_key": SECRET,
        "sdk_app_id": "1400006666",
        "purposes": ["login"],
        "templates": {"login": "1110"},
    },
    "vonage": {"api_key": "12ab34cd", "api_secret": SECRET, "sender": "Acme"},
}
CHANNELS = {"twilio": TwilioChannel, "aliyun": AliyunChannel, "tencent": TencentChannel, "vonage": VonageChannel}


def read(protocol: str, environ: dict[str, str] | None = None, folder: Path = Path(), **changes: Any) -> config.Config:
    """The example with a second channel; None takes a key out."""
    tables = tomllib.loads(EXAMPLE)
    keys = {"name": "second", "protocol": protocol} | KEYS[protocol] | changes
    tables["channels"].append({key: value for key, value in keys.items() if value is not None})
    return config.parse(tables, environ or {}, folder)


def refusal(protocol: str, **changes: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        read(protocol, **changes)
    assert SECRET not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("protocol", KEYS)
def test_a_table_becomes_its_channel(protocol: str) -> None:
    """With nothing but what is required; its repr shows no secret."""
    section = read(protocol).channels[1]
    channel = build_channel(section)
    assert isinstance(channel, CHANNELS[protocol])
    assert (channel.name, channel.answer_within, channel.deadline) == ("second", 1.5, 5.0)
    settings = channel_settings(section)
    assert settings.url.startswith("https://")
    assert SECRET not in repr(settings) + repr(section)


@pytest.mark.parametrize(
    ("protocol", "key"),
    [
        ("twilio", "auth_token"),
        ("twilio", "api_key_secret"),
        ("aliyun", "access_key_secret"),
        ("aliyun", "push_secret"),
        ("tencent", "secret_key"),
        ("vonage", "api_secret"),
        ("vonage", "signature_secret"),
    ],
)
def test_a_secret_may_stand_in_a_file(tmp_path: Path, protocol: str, key: str) -> None:
    (tmp_path / "secret").write_text("from-a-file-0123456789\n")
    more = {"api_key": "SK" + "0" * 32} if key == "api_key_secret" else {}
    section = read(protocol, folder=tmp_path, **{key: None, f"{key}_file": "secret"}, **more).channels[1]
    assert getattr(channel_settings(section), key) == "from-a-file-0123456789"


def test_the_environment_gives_templates_and_values() -> None:
    environ = {
        "OTP_CHANNELS__SECOND__TEMPLATES__LOGIN": "2220",
        "OTP_CHANNELS__SECOND__TEMPLATE_PARAMS": "{{ code }},{{ minutes }}",
    }
    settings = channel_settings(read("tencent", environ).channels[1])
    assert settings.templates == {"login": "2220"}
    assert settings.template_params == ("{{ code }}", "{{ minutes }}")


def test_the_doctors_real_message_goes_out_by_a_template_that_the_channel_has() -> None:
    """Here one for signing up only."""
    accepted = http_answer(body=b'{"Code": "OK", "BizId": "900619746936498440^0"}')
    with RawGateway(says(accepted)) as gateway:
        address = f"http://{gateway.host}"
        loaded = read("aliyun", url=address, purposes=["signup"], templates={"signup": "SMS_2"})
        (finding,) = of_real_send(loaded, loaded.channels[1], "+8613800138000")
    assert finding.level is Level.OK
    form = gateway.forms()[0]
    assert (form["TemplateCode"], form["TemplateParam"]) == ("SMS_2", '{"code": "012345"}')


@pytest.mark.parametrize("protocol", ["aliyun", "tencent"])
class TestTemplates:
    def test_every_purpose_that_is_carried_has_one(self, protocol: str) -> None:
        """A channel without `purposes` carries them all, built-in ones as well."""
        said = refusal(protocol, purposes=None)
        assert said.splitlines() == [
            f"channels.second.templates: none for the purpose {purpose}; write its code or number, as "
            f'{purpose} = "…", or name in channels.second.purposes only those that it carries'
            for purpose in ("signup", "password_reset")
        ]

    def test_one_for_a_locale_alone_does_not_carry_the_others(self, protocol: str) -> None:
        assert "none for the purpose login" in refusal(protocol, templates={"login/zh-CN": "1"})
        assert read(protocol, templates={"login": "1", "login/zh-CN": "2", "login/en": "3"})

    def test_one_for_an_unknown_purpose_is_a_slip(self, protocol: str) -> None:
        said = refusal(protocol, templates={"login": "1", "logni/en": "2"})
        assert said.startswith("channels.second.templates.logni/en: no purpose is called 'logni'")
        assert 'did you mean "login"?' in said

    @pytest.mark.parametrize(
        ("templates", "text"),
        [
            (None, "channels.second.templates: missing; write the gateway's templates by purpose"),
            ({"login": ""}, "channels.second.templates: 'login' has an empty template"),
            ({"login": "1", "login/": "2"}, "channels.second.templates: 'login/' is no purpose"),
            ({"login": "1", "login/zh_cn": "2"}, "channels.second.templates: 'login/zh_cn' is no purpose"),
            ("SMS_1", "channels.second.templates: not a table"),
        ],
    )
    def test_what_is_no_template_is_refused(self, protocol: str, templates: Any, text: str) -> None:
        assert refusal(protocol, templates=templates).startswith(text)

    @pytest.mark.parametrize(
        ("value", "text"), [("{{ minutes }}", "no value holds the code"), ("{{ brand }}", "{{ brand }} is not known")]
    )
    def test_the_code_and_the_minutes_are_what_is_filled_in(self, protocol: str, value: str, text: str) -> None:
        params = {"code": value} if protocol == "aliyun" else [value]
        assert f"channels.second.template_params: {text}" in refusal(protocol, template_params=params)

    def test_texts_of_our_own_are_not_checked_for_it(self, protocol: str) -> None:
        """What the gateway sends is not what we would write."""
        loaded = read(protocol)
        assert dict(loaded.texts()["second"].parts) == {}


@pytest.mark.parametrize(
    ("protocol", "changes", "line"),
    [
        ("twilio", {"account_sid": "SK1"}, "channels.second.account_sid: not in the form"),
        ("twilio", {"auth_token": None}, "channels.second.auth_token: missing"),
        ("twilio", {"sender": "not a sender name at all"}, "channels.second.sender: not in the form"),
        ("twilio", {"api_key": "SK" + "0" * 32}, "channels.second.api_key_secret: missing; write api_key and"),
        ("twilio", {"api_key_secret": SECRET}, "channels.second.api_key: missing; write api_key and"),
        ("twilio", {"status_callback": "otp.example.com"}, "channels.second.status_callback: not an http://"),
        ("twilio", {"url": "https://me:secret@api.twilio.com"}, "channels.second.url: holds a user"),
        ("twilio", {"token": SECRET}, "channels.second.token: unknown key; allowed here: name, protocol"),
        ("aliyun", {"signature": None}, "channels.second.signature: missing"),
        ("aliyun", {"push_secret": "short"}, "channels.second.push_secret: too short"),
        ("aliyun", {"push_secret": SECRET + "&x=1"}, "channels.second.push_secret: too short, or not fit"),
        ("aliyun", {"url": "https://dysmsapi.aliyuncs.com/x"}, "channels.second.url: holds a path"),
        ("aliyun", {"acces_key_id": "x"}, 'did you mean "access_key_id"?'),
        ("tencent", {"sdk_app_id": 1400006666}, "channels.second.sdk_app_id: not text in quotes"),
        ("tencent", {"region": "Guangzhou"}, "channels.second.region: not in the form"),
        ("tencent", {"url": "https://sms.tencentcloudapi.com/x"}, "channels.second.url: holds a path"),
        ("tencent", {"extend_code": "x"}, "channels.second.extend_code: not in the form"),
        ("vonage", {"signature_method": "md5"}, 'channels.second.signature_method: not one of those allowed; write "'),
        ("vonage", {"sender": "+447700900000"}, "channels.second.sender: not in the form"),
        ("vonage", {"callback": "ftp://otp.example.com"}, "channels.second.callback: not an http://"),
    ],
)
def test_what_cannot_work_is_named_by_its_key(protocol: str, changes: dict[str, Any], line: str) -> None:
    assert line in refusal(protocol, **changes)


@pytest.mark.parametrize(
    "url", ["https://API.example.com", "https://api.example.com:443/", "http://api.example.com:8080", "http://[::1]:80"]
)
def test_the_host_that_is_signed_is_the_one_that_is_sent(url: str) -> None:
    assert ("Host", host_header(url)) in build_request("POST", url, b"", {}, "").headers
