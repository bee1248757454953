"""What `doctor` says of texts: nobody finds out from a stranger's handset."""

from __future__ import annotations

from typing import Any

import pytest

from otp_service.cli.findings import Level
from otp_service.cli.text_findings import of_texts
from tests.test_config import read


def doubts(**changes: Any) -> list[str]:
    """Of the texts of logins."""
    config = read(**changes)
    found = of_texts(config, config.channels[0])
    return [one.text for one in found if one.level is Level.WARN and one.about == "texts of login on primary"]


def test_there_are_none_where_every_language_fits() -> None:
    assert doubts() == []


def test_languages_that_do_not_fit_are_named_with_the_reason() -> None:
    """Whoever asks for English reads Chinese: the WebOTP line made it two SMS."""
    [line] = doubts(purposes__login__webotp_host="login.example.com", channels__signature="今信科技有限公司")
    named = line.partition(" do not fit")[0].removeprefix("the built-in texts of ").split(", ")
    assert "en" in named
    assert not {"zh-CN", "zh-TW"} & set(named)
    assert "so whoever asks for one reads zh-CN" in line
    assert "2 SMS where max_parts = 1" in line
    assert line.endswith("The line of webotp_host counts.")


def test_a_default_language_without_a_text_is_named_with_the_one_that_stands_in() -> None:
    [line] = doubts(purposes__login__locale="xx-YY")
    assert line.startswith('purposes.login.locale = "xx-YY" has no text, so en stands in; write one of ')


@pytest.mark.parametrize(
    ("promise", "ttl", "said"),
    [
        ("1小时", 300, "1小时"),
        ("一个小时", 300, "一个小时"),
        ("半小时", 600, "半小时"),
        ("60秒", 300, "60秒"),
        ("２小时", 300, "2小时"),
        ("120 seconds", 300, "120 seconds"),
    ],
)
def test_another_time_than_the_codes_is_doubted(promise: str, ttl: int, said: str) -> None:
    """It may be a resend's: the start is not refused for it."""
    text = f"您的验证码是{{{{ code }}}}，{promise}内有效。"
    [line] = doubts(messages__login={"zh-CN": text}, purposes__login__ttl=ttl)
    assert line.startswith(f"zh-CN says {said}, and ttl = {ttl} seconds;")


@pytest.mark.parametrize("promise", ["300秒", "{{ minutes }}分钟", "5分钟"])
def test_the_codes_own_time_is_not(promise: str) -> None:
    assert doubts(messages__login={"zh-CN": f"您的验证码是{{{{ code }}}}，{promise}内有效。"}) == []
