"""What a table of the `sms.aspx` family means where it leaves something out, and what it may not hold."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from otp_service.config.channel import ChannelSection
from tests.test_config import read, refusal, tables


def channel(**given: Any) -> dict[str, Any]:
    """The example's channel without what has a default; with `given`."""
    plain = {
        key: value for key, value in tables()["channels"][0].items() if key not in ("encoding", "profile", "extno")
    }
    del plain["signature_position"]
    return plain | given


def loaded(environ: dict[str, str] | None = None, **given: Any) -> ChannelSection:
    return read(environ, channels=[channel(**given)]).channels[0]


@pytest.mark.parametrize(
    ("path", "charset"),
    [
        ("/smsGBK.aspx", "gbk"),
        ("/v2smsgbk.aspx", "gbk"),
        ("/a//SMSGBK.ASPX/?action=send", "gbk"),
        ("/sms.aspx", "utf-8"),
        ("/gbk/sms.aspx", "utf-8"),
        ("", "utf-8"),
    ],
)
def test_an_address_that_says_gbk_is_written_to_in_gbk(path: str, charset: str) -> None:
    url = f"http://gateway.example{path}"
    assert loaded(url=url).charset == charset
    assert loaded({"OTP_CHANNELS__PRIMARY__URL": url}).charset == charset
    assert loaded(url=url, encoding="utf-8").charset == "utf-8"
    assert loaded(url=url, encoding="gbk").charset == "gbk"


@pytest.mark.parametrize(
    ("path", "given", "is_doubted"),
    [
        ("/smsGBK.aspx", {"encoding": "utf-8"}, True),
        ("/smsGBK.aspx", {"encoding": "gbk"}, False),
        ("/smsGBK.aspx", {}, False),
        ("/sms.aspx", {"encoding": "utf-8"}, False),
    ],
)
def test_utf_8_at_an_address_that_says_gbk_is_warned_of(path: str, given: dict[str, str], is_doubted: bool) -> None:
    """What is written wins; and else a person's handset is the first to show that nobody can read it."""
    said = read(channels=[channel(url=f"http://127.0.0.1{path}", **given)]).warnings(datetime.date(2026, 1, 1))
    doubt = 'channels.primary.encoding: is "utf-8", and the path of url reads texts as GBK; take out one of the two'
    assert said == ([doubt] if is_doubted else [])


def test_huaxin_signs_at_the_rear_unless_told_otherwise() -> None:
    assert loaded(profile="huaxin").signature_position == "rear"
    assert loaded({"OTP_CHANNELS__PRIMARY__PROFILE": "huaxin"}).signature_position == "rear"
    assert loaded(profile="huaxin", signature_position="front").signature_position == "front"
    assert loaded(profile="classic").signature_position == "front"


@pytest.mark.parametrize(("profile", "longest"), [("seed", 5), ("classic", 5), ("v2", 10), ("huaxin", 5)])
def test_an_extno_is_as_short_as_its_profile_takes(profile: str, longest: int) -> None:
    fits, over = "1" * longest, "1" * (longest + 1)
    loaded(profile=profile, extno=fits, extnos={"shop": fits})
    for given, key in (
        ({"extno": over}, "channels.primary.extno"),
        ({"extno": "12a"}, "channels.primary.extno"),
        ({"extnos": {"shop": over}}, "channels.primary.extnos: that of shop"),
        ({"extnos": {"*/login": "abc"}}, "channels.primary.extnos: that of */login"),
    ):
        assert key in refusal(channels=[channel(profile=profile, **given)])
