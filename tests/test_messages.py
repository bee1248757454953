"""A message says what we mean, to people, phones and gateways alike."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.errors import ConfigError
from otp_service.messages import (
    DEFAULT_TEXTS,
    Catalogue,
    Parts,
    Signature,
    Text,
    check_text,
    minutes_left,
    pick_locale,
    valid_locale,
)

JINXIN = Signature("今信科技", "front")
ACME = Signature("Acme", "front", "prefix")
CHINESE = "您的验证码是{{ code }}，{{ minutes }}分钟内有效，请勿告知他人。"
ENGLISH = "{{ code }} is your code, valid {{ minutes }} min."
BRANDED = "{{ code }} is your {{ brand }} code."
ANDROID_HASH = "FA+9qCX9VSu"


def text(source: str) -> Text:
    return Text.parse(source, where="messages.login.zh-CN")


def check(source: str, **changed: Any) -> Parts:
    """Check `source` for an ordinary channel, with what a test changes about it."""
    ordinary: dict[str, Any] = {
        "where": "messages.login.zh-CN",
        "ttl": 300,
        "code_length": 6,
        "max_parts": 1,
        "encoding": "utf-8",
        "signature": JINXIN,
        "variables": {},
        "webotp_host": "",
        "android_hash": "",
    }
    return check_text(text(source), **(ordinary | changed))


def one_time_code(message: str) -> tuple[str, str] | None:
    """Host and code, found by the steps of WICG sms-one-time-codes §3.2; None where they return failure."""
    line = re.sub(r"\r\n?", "\n", message).split("\n")[-1]
    host, rest = marked_token(line, "@")
    if not host or not rest.startswith(" "):
        return None
    code, _ = marked_token(rest[1:], "#")
    return (host, code) if code else None


def marked_token(line: str, marker: str) -> tuple[str, str]:
    if not line.startswith(marker):
        return "", line
    token = re.match(r"[^\t\n\f\r ]*", line[1:])
    assert token is not None
    return token[0], line[1 + len(token[0]) :]


# --- what goes out


def test_the_default_login_message_is_the_one_of_the_contract() -> None:
    login = Catalogue({}).text("login", "zh-CN", "zh-CN")
    assert login.render("345678", 5, {}, JINXIN) == "【今信科技】您的验证码是345678，5分钟内有效，请勿告知他人。"


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (None, "345678 is your code, valid 5 min."),
        (ACME, "Acme: 345678 is your code, valid 5 min."),
        (Signature("Acme", "front"), "【Acme】345678 is your code, valid 5 min."),
        (Signature("Acme", "rear"), "345678 is your code, valid 5 min.【Acme】"),
        (Signature("Acme", "gateway"), "345678 is your code, valid 5 min."),
    ],
)
def test_the_signature_stands_at_its_side(signature: Signature | None, message: str) -> None:
    assert text(ENGLISH).render("345678", 5, {}, signature) == message


def test_a_value_goes_out_as_it_is() -> None:
    """SMS is plain text: nothing is escaped as if it were HTML."""
    assert text(BRANDED).render("345678", 5, {"brand": "R&D <3 'n'"}, None) == "345678 is your R&D <3 'n' code."


def test_a_variable_never_replaces_the_code() -> None:
    assert text(ENGLISH).render("345678", 5, {"code": "000000", "minutes": "99"}, None).startswith("345678")


@pytest.mark.parametrize(("seconds", "minutes"), [(600, 10), (300, 5), (299, 4), (60, 1), (59, 1), (0, 1), (-5, 1)])
def test_minutes_are_rounded_down_but_at_least_one(seconds: int, minutes: int) -> None:
    assert minutes_left(seconds) == minutes


@pytest.mark.parametrize("length", [6, 10])
@pytest.mark.parametrize("purpose", DEFAULT_TEXTS)
def test_every_built_in_text_passes_its_own_checks_in_one_part(purpose: str, length: int) -> None:
    for locale, source in DEFAULT_TEXTS[purpose].items():
        latin = locale[:2] not in {"zh", "ja", "ko"}
        parts = check(source, signature=ACME, ttl=1800, code_length=length, where=locale)
        assert parts.encoding == ("GSM-7" if latin else "UCS-2")


@pytest.mark.parametrize("purpose", DEFAULT_TEXTS)
def test_every_built_in_text_fits_one_part_beside_an_eleven_character_chinese_signature(purpose: str) -> None:
    for locale, source in DEFAULT_TEXTS[purpose].items():
        assert check(source, signature=Signature("深圳市今信科技有限公司", "front"), ttl=1800, where=locale).parts == 1


@pytest.mark.parametrize("purpose", DEFAULT_TEXTS)
def test_every_built_in_chinese_text_goes_by_a_gbk_channel(purpose: str) -> None:
    for locale in ("zh-CN", "zh-TW"):
        assert check(DEFAULT_TEXTS[purpose][locale], encoding="gbk").parts == 1


def test_every_purpose_is_written_in_the_same_locales() -> None:
    assert len({frozenset(texts) for texts in DEFAULT_TEXTS.values()}) == 1


# --- what a text may be


@pytest.mark.parametrize(
    "source",
    [
        "{{ code",
        "{{ code }} {% if minutes %}x{% endif %}",
        "{{ code }} {% for x in minutes %}{% endfor %}",
        "{{ code }} {% include 'x' %}",
        "{{ code }} {% raw %}{{ x }}{% endraw %}",
        "{{ code }} {# hidden #}",
        "{{ code|upper }}",
        "{{ code.x }} {{ code }}",
        "{{ code['x'] }} {{ code }}",
        "{{ code() }} {{ code }}",
        "{{ code }} {{ 7 * 7 }}",
        "{{ code }} {{ '1234' }}",
        "{{ code }} {{ true }}",
        "{{ code }} {{ ''.__class__ }}",
        "{{ code }} {{ self }}",
        "{{ code ~ minutes }}",
        "{{ code if minutes else brand }}",
        "{{ }} {{ code }}",
    ],
)
def test_a_text_is_words_and_names_only(source: str) -> None:
    """T46: no statements, filters, attributes, calls, literals or comments."""
    with pytest.raises(ConfigError, match=r"messages\.login\.zh-CN"):
        text(source)


@pytest.mark.parametrize(
    "source", ["Welcome.", "{{ minutes }}", "{{ code }} {{ code }}", "{{code}}, again: {{ code }}"]
)
def test_a_text_holds_the_code_exactly_once(source: str) -> None:
    with pytest.raises(ConfigError, match="exactly once"):
        text(source)


@pytest.mark.parametrize("name", ["brnad", "range", "lipsum", "dict", "cycler", "namespace", "request", "__class__"])
def test_a_name_that_nothing_fills_is_refused(name: str) -> None:
    """T46: the sandbox has no globals, and a misspelt variable stops the start instead of printing nothing."""
    with pytest.raises(ConfigError, match=f"nothing is known as {name}; a text may use brand, code, minutes"):
        check(f"{{{{ code }}}} {{{{ {name} }}}}", variables={"brand": "Acme"})


@pytest.mark.parametrize("name", ["code", "minutes", "Brand", "brand-name", "", "_x", "x.y", "商标"])
def test_a_variable_needs_a_plain_name_of_its_own(name: str) -> None:
    with pytest.raises(ConfigError, match="rename the variable"):
        check(CHINESE, variables={name: "Acme"})


TRICKS = {
    "line feed": "Acme\n@evil.com #000000",
    "carriage return": "Acme\r@evil #000000",
    "line separator": "Acme\u2028@evil #000000",
    "NUL": "Ac\x00me",
    "tab": "Ac\tme",
    "web address": "http://evil.example/x",
    "scheme alone": "evil://x",
    "www": "www evil",
    "domain": "evil.com",
    "short link": "t.cn/abc",
    "domain in Chinese": "例子.中国",
    "domain with full-width dot": "evil．com",
    "domain with ideographic full stop": "evil。com",
    "domain in full-width letters": "ｅｖｉｌ．ｃｏｍ",
    "IP address": "10.0.0.1",
    "mail address": "help@evil",
    "WebOTP without a line feed": "Acme @evil #000000",
    "second signature": "【假】",
    "half a signature": "假】",
    "right-to-left override": "A\u202ecme",
    "right-to-left isolate": "A\u2067cme",
    "zero-width joiner": "Ac\u200dme",
    "zero-width space": "Ac\u200bme",
    "byte order mark": "\ufeffAcme",
    "soft hyphen": "Ac\u00adme",
    "Hangul filler": "Ac\u3164me",
    "variation selector": "Acme\ufe0f",
    "tag characters": "Acme\U000e0041",
    "lone surrogate": "Acme\ud83d",
    "private use": "Acme\ue000",
    "Cyrillic a in a Latin word": "\u0410cme",
    "Cyrillic o in a Latin word": "G\u043e\u043egle",
    "Greek o in a Latin word": "G\u03bfogle",
    "all Cyrillic twins": "\u0420\u0430\u0443\u0440\u0430",
    "all Greek twins": "\u0391\u0392\u0392",
    "mathematical letters": "\U0001d400cme",
    "circled letters": "\u24b6cme",
    "attribute of a format": "{0.__class__}",
    "brace": "{code}",
    "Jinja": "{{ code }}",
    "percent format": "%s",
    "named percent format": "%(code)s",
    "shell": "$(id)",
    "four digits": "1234",
    "four full-width digits": "１２３４",
    "four Arabic digits": "\u0661\u0662\u0663\u0664",
    "four mathematical digits": "\U0001d7ce\U0001d7cf\U0001d7ce\U0001d7cf",
    "four circled digits": "①②③④",
    "four superscript digits": "¹²³⁴",
}


@pytest.mark.parametrize("value", TRICKS.values(), ids=TRICKS.keys())
def test_a_trick_is_refused_wherever_it_stands(value: str) -> None:
    """T46: in a value, in a text and in a signature alike."""
    with pytest.raises(ConfigError, match=r"messages\.login\.zh-CN: variable brand"):
        check(BRANDED, signature=ACME, variables={"brand": value})
    with pytest.raises(ConfigError):
        check(f"{{{{ code }}}} {value}", signature=ACME)
    with pytest.raises(ConfigError, match="signature"):
        Signature(value, "front")


@pytest.mark.parametrize(
    "value",
    [
        "Acme",
        "今信科技",
        "58同城",
        "360",
        "R&D",
        "100% Bio",
        "Ａｃｍｅ",
        "Яндекс",
        "Yandex Такси",
        "Ελλάδα",
        "Café",
        "LINE認証",
        "B-52's",
        "St. Ives",
    ],
)
def test_an_honest_name_passes(value: str) -> None:
    """T46: digits, full-width letters, accents and whole words of another alphabet are names, not tricks."""
    assert check(BRANDED, variables={"brand": value}, signature=Signature(value, "front")).parts == 1


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_whatever_the_value_the_last_line_is_ours_or_the_value_is_refused(value: str) -> None:
    """T46: no value that passes can move, end or imitate the WebOTP line."""
    variables = {"brand": value}
    try:
        check(BRANDED, variables=variables, webotp_host="login.example.com", max_parts=9)
    except ConfigError:
        return
    message = text(BRANDED).render("345678", 5, variables, JINXIN, "login.example.com")
    assert one_time_code(message) == ("login.example.com", "345678")
    assert message.count("\n") == 1
    assert message.count("【") == message.count("】") == 1


@pytest.mark.parametrize("signature", ["", "今", "x" * 21, " Acme", "Acme ", "【Acme】"])
def test_a_signature_is_two_to_twenty_plain_characters(signature: str) -> None:
    with pytest.raises(ConfigError, match="signature"):
        Signature(signature, "front")


def test_a_prefix_stands_in_front() -> None:
    with pytest.raises(ConfigError, match="front"):
        Signature("Acme", "rear", "prefix")


# --- length


@pytest.mark.parametrize(
    ("source", "brand"),
    [
        ("{{ code }}" + "a" * 140 + "{{ brand }}", "😀"),
        ("{{ code }}" + "a" * 140 + "{{ brand }}", "’"),
        ("{{ code }}" + "a" * 147 + "{{ brand }}", "ab"),
        ("{{ code }}" + "a" * 147 + "{{ brand }}", "€"),
        ("{{ code }}" + "字" * 57 + "{{ brand }}", "字二"),
    ],
)
def test_one_character_too_many_is_refused(source: str, brand: str) -> None:
    """T47: an emoji, a typographic apostrophe, a euro sign or the 71st character may each cost a second SMS."""
    assert check(source, signature=ACME, variables={"brand": "a"}).parts == 1
    with pytest.raises(ConfigError, match="max_parts = 1"):
        check(source, signature=ACME, variables={"brand": brand})
    assert check(source, signature=ACME, variables={"brand": brand}, max_parts=3).parts > 1


@pytest.mark.parametrize("position", ["front", "rear", "gateway"])
def test_the_signature_counts_even_if_the_gateway_adds_it(position: Any) -> None:
    """T47: billed are 70 characters with the signature, wherever it comes from."""
    signature = Signature("今信科技", position)
    assert check("{{ code }}" + "字" * 58, signature=signature) == Parts("UCS-2", 70, 1)
    with pytest.raises(ConfigError, match="71 UCS-2"):
        check("{{ code }}" + "字" * 59, signature=signature)


def test_the_longest_code_and_minutes_are_what_counts() -> None:
    assert check("{{ code }}{{ brand }}{{ minutes }}", code_length=10, ttl=600, variables={"brand": "，"}).units == 19


# --- digits and minutes


@pytest.mark.parametrize(
    "source",
    [
        "{{ code }}, call 95588",
        "{{ code }} for order 1234",
        "2024: {{ code }}",
        "1{{ code }}",
        "{{ code }}1",
        "{{ code }}{{ minutes }}",
        "000000 or {{ code }}",
        "{{ code }} １２３４",
        "{{ code }} \u0661\u0662\u0663\u0664",
        "{{ code }} 12{{ brand }}",
        "{{ code }} 123{{ minutes }}",
    ],
)
def test_the_code_is_the_only_run_of_four_digits(source: str) -> None:
    """T48: phones offer the wrong number otherwise; digits that touch the code make it another one."""
    with pytest.raises(ConfigError, match="four or more digits"):
        check(source, variables={"brand": "34"})


def test_a_host_or_hash_with_four_digits_is_refused() -> None:
    """T48: the line for phones holds the code and no second candidate."""
    with pytest.raises(ConfigError, match="four or more digits"):
        check(CHINESE, webotp_host="app1234.example.com")
    with pytest.raises(ConfigError, match="four or more digits"):
        check(CHINESE, android_hash="FA12345CX9V")


def test_short_digit_runs_pass() -> None:
    """T48: 58同城 and 5分钟 are no codes."""
    assert check("{{ code }}，5分钟内有效", signature=Signature("58同城", "front")).parts == 1


@pytest.mark.parametrize(
    "word",
    [
        "5分钟",
        "5 分钟",
        "５分鐘",
        "五分钟",
        "5分間",
        "5분",
        "5 minutes",
        "5 min.",
        "5-minute",
        "5 minutos",
        "5 Minuten",
    ],
)
def test_minutes_written_out_must_be_those_of_ttl(word: str) -> None:
    source = f"{{{{ code }}}} {word}"
    assert check(source, ttl=300).parts == 1
    with pytest.raises(ConfigError, match=r"promises 5 minutes, but ttl = 299.*ttl = 300"):
        check(source, ttl=299)


@pytest.mark.parametrize(
    ("word", "ttl"), [("十分钟", 600), ("十五分钟", 900), ("三十分鐘", 1800), ("两分钟", 120), ("30分鐘", 1800)]
)
def test_minutes_in_chinese_numerals_are_read(word: str, ttl: int) -> None:
    assert check(f"{{{{ code }}}}，{word}內有效", ttl=ttl).parts == 1
    with pytest.raises(ConfigError, match="promises"):
        check(f"{{{{ code }}}}，{word}內有效", ttl=300)


def test_minutes_that_are_filled_in_follow_any_ttl() -> None:
    assert check(CHINESE, ttl=90).parts == 1


# --- the line for phones


def assert_phones_find_the_code(codes: int) -> None:
    """T49: the parser of the WebOTP draft finds host and code; the Android hash is last, in ≤ 140 bytes."""
    chance = random.Random(49)
    for _ in range(codes):
        code = "".join(chance.choices("0123456789", k=chance.randint(6, 10)))
        signature = chance.choice([JINXIN, ACME, None])
        source = text(chance.choice([CHINESE, ENGLISH]))
        android_hash = chance.choice(["", ANDROID_HASH])
        message = source.render(code, 5, {}, signature, "login.example.com", android_hash)
        assert one_time_code(message) == ("login.example.com", code)
        assert message.endswith(android_hash)
        assert len(message.encode()) <= 140
        hashed = source.render(code, 5, {}, signature, "", ANDROID_HASH)
        assert hashed.endswith(f"\n{ANDROID_HASH}")
        assert len(hashed.encode()) <= 140


def test_phones_find_the_code_and_its_host() -> None:
    """T49, 200 codes."""
    assert_phones_find_the_code(200)


@pytest.mark.slow
def test_phones_find_ten_thousand_codes() -> None:
    """T49, full size."""
    assert_phones_find_the_code(10_000)


def test_without_host_and_hash_there_is_no_further_line() -> None:
    assert one_time_code(text(CHINESE).render("345678", 5, {}, JINXIN)) is None
    assert "\n" not in text(CHINESE).render("345678", 5, {}, JINXIN)


@pytest.mark.parametrize("host", ["login.example.com", "localhost", "xn--fiqs8s.example"])
def test_a_host_name_makes_a_webotp_line(host: str) -> None:
    assert check(CHINESE, webotp_host=host).parts == 1


@pytest.mark.parametrize(
    "host",
    [
        "https://example.com",
        "example.com/x",
        "example.com:443",
        "Example.com",
        "a b",
        "-a.com",
        "例子.中国",
        "e.com\n",
        "a..b",
        "10.0.0.1",
    ],
)
def test_a_webotp_host_is_a_bare_host_name(host: str) -> None:
    with pytest.raises(ConfigError, match="webotp_host"):
        check(CHINESE, webotp_host=host)


@pytest.mark.parametrize("android_hash", ["short", "FA+9qCX9VSuu", "FA+9qCX9VS!", "FA+9qCX9VS\n"])
def test_an_android_hash_has_eleven_base64_characters(android_hash: str) -> None:
    with pytest.raises(ConfigError, match="android_hash"):
        check(CHINESE, android_hash=android_hash)


def test_an_android_message_has_at_most_140_bytes() -> None:
    """T49: the limit is in bytes, so Chinese fills it three times as fast."""
    assert check("{{ code }}" + "字" * 34, android_hash=ANDROID_HASH, signature=Signature("今信", "front")).parts == 1
    with pytest.raises(ConfigError, match="shorten the text by 3 bytes"):
        check("{{ code }}" + "字" * 37 + "ab", android_hash=ANDROID_HASH, signature=Signature("今信", "front"))


@pytest.mark.parametrize("line", [{"webotp_host": "login.example.com"}, {"android_hash": ANDROID_HASH}])
def test_a_rear_signature_and_a_last_line_exclude_each_other(line: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError, match="rear signature"):
        check(CHINESE, signature=Signature("今信科技", "rear"), **line)


# --- GBK


@pytest.mark.parametrize("char", ["😀", "€", "©", "¥", "ñ", "한"])
def test_a_gbk_channel_refuses_what_gbk_has_not(char: str) -> None:
    """T50: refused before anything is sent, never a question mark on a handset."""
    assert check("{{ code }} " + char).parts == 1
    with pytest.raises(ConfigError, match=r"U\+[0-9A-F]+\); gbk has no such character"):
        check("{{ code }} " + char, encoding="gbk")
    with pytest.raises(ConfigError, match="gbk"):
        check(BRANDED, encoding="gbk", variables={"brand": f"x {char}"})
    with pytest.raises(ConfigError, match=r"U\+[0-9A-F]+\) of the signature; gbk has no such character"):
        check("{{ code }}", encoding="gbk", signature=Signature(f"x {char}", "front"))


def gbk_characters_ending_in(second: int) -> list[str]:
    found = []
    for first in range(0x81, 0xFF):
        try:
            found.append(bytes([first, second]).decode("gbk"))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("second", [0x5C, 0x7C])
def test_characters_whose_second_gbk_byte_is_a_separator_pass_whole(second: int) -> None:
    r"""T50: the second byte of 118 characters is that of \ or |; each is one character and comes back as itself."""
    characters = gbk_characters_ending_in(second)
    assert len(characters) == 118
    for char in characters:
        source = "{{ code }} " + char
        check(source, encoding="gbk")
        message = text(source).render("345678", 5, {}, JINXIN)
        assert message.encode("gbk").decode("gbk") == message


# --- locales


AVAILABLE = ["zh-CN", "zh-TW", "en", "pt-BR", "ja"]


@pytest.mark.parametrize(
    ("wanted", "picked"),
    [
        (None, "ja"),
        ("zh-CN", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-SG", "zh-CN"),
        ("zh-Hans-HK", "zh-CN"),
        ("zh-HK", "zh-TW"),
        ("zh-MO", "zh-TW"),
        ("zh-Hant", "zh-TW"),
        ("zh-Hant-CN", "zh-TW"),
        ("en-GB", "en"),
        ("en-GB-oxendict", "en"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("e", "ja"),
        ("enx", "ja"),
        ("tlh", "ja"),
        ("not a tag", "ja"),
    ],
)
def test_a_locale_finds_the_nearest_text(wanted: str | None, picked: str) -> None:
    assert pick_locale(wanted, AVAILABLE, "ja") == picked
    assert pick_locale(wanted, reversed(AVAILABLE), "ja") == picked


def test_chinese_in_the_other_script_is_nearer_than_another_language() -> None:
    assert pick_locale("zh-HK", ["zh-CN", "en"], "en") == "zh-CN"


@pytest.mark.parametrize("tag", ["zh-CN", "en", "zh-Hant-TW", "es-419", "de-CH-1996", "tlh"])
def test_a_language_tag_is_a_locale(tag: str) -> None:
    assert valid_locale(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "e",
        "zh_CN",
        "zh-",
        "-zh",
        "zh--CN",
        "en-GB\n",
        "中文",
        "zh-ＣＮ",
        "../etc",
        "a" * 9,
        "en-" + "a1-" * 20 + "b",
    ],
)
def test_anything_else_is_not(tag: str) -> None:
    assert not valid_locale(tag)


# --- the catalogue


def test_a_configured_text_replaces_the_built_in_one_of_its_locale_only() -> None:
    catalogue = Catalogue({"login": {"zh-CN": "验证码{{ code }}。"}})
    assert catalogue.text("login", "zh-CN", "zh-CN").source == "验证码{{ code }}。"
    assert catalogue.text("login", "en", "zh-CN").source == DEFAULT_TEXTS["login"]["en"]
    assert catalogue.text("signup", "zh-CN", "zh-CN").source == DEFAULT_TEXTS["signup"]["zh-CN"]


def test_a_channels_own_texts_are_the_only_ones_it_carries_for_that_purpose() -> None:
    """A carrier lets only filed texts pass, so another locale gets the filed one."""
    catalogue = Catalogue({"login": {"en": "Configured {{ code }}"}}, {"login": {"zh-CN": "备案{{ code }}。"}})
    assert catalogue.text("login", "en", "en").source == "备案{{ code }}。"
    assert catalogue.text("signup", "en", "en").source == DEFAULT_TEXTS["signup"]["en"]


def test_a_purpose_without_texts_gets_the_generic_ones() -> None:
    assert Catalogue({}).text("transfer", "en-US", "zh-CN").source == DEFAULT_TEXTS["generic"]["en"]
    assert Catalogue({"transfer": {"en": "{{ code }}!"}}).text("transfer", "en", "zh-CN").source == "{{ code }}!"


@pytest.mark.parametrize(("locale", "source"), [(None, "zh-CN"), ("it", "zh-CN"), ("zh-HK", "zh-TW")])
def test_an_unknown_locale_gets_the_default_one(locale: str | None, source: str) -> None:
    assert Catalogue({}).text("login", locale, "zh-CN").source == DEFAULT_TEXTS["login"][source]


def test_a_default_locale_without_a_text_still_gets_one() -> None:
    """English, which most can read; else the first there is."""
    assert Catalogue({}).text("login", "it", "is").source == DEFAULT_TEXTS["login"]["en"]
    own = {"login": {"ko": "{{ code }} k", "ja": "{{ code }} j"}}
    assert Catalogue({}, own).text("login", "it", "is").source == "{{ code }} j"


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        ({"login": {"zh-CN": "{{ code"}}, r"^messages\.login\.zh-CN: "),
        ({"login": {"zh_CN": "{{ code }}"}}, r"^messages\.login\.zh_CN: .*language tag"),
    ],
)
def test_a_text_that_cannot_be_used_is_named(texts: dict[str, dict[str, str]], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        Catalogue(texts)
    with pytest.raises(ConfigError, match="^channels.primary." + where[1:]):
        Catalogue({}, texts, own_where="channels.primary.messages")


def check_on_gbk(filed: Text) -> Parts:
    return check(filed.source, encoding="gbk", where=filed.where)


def test_a_built_in_text_that_a_channel_cannot_carry_gives_way_to_the_default_locale() -> None:
    """GBK has no Korean: a Korean reader gets the purpose's own locale instead of a start that fails."""
    catalogue = Catalogue({})
    parts = catalogue.check("login", "zh-CN", check_on_gbk)
    assert parts["zh-CN"] == Parts("UCS-2", 33, 1)
    assert "ko" not in parts
    assert catalogue.text("login", "ko", "zh-CN").source == DEFAULT_TEXTS["login"]["zh-CN"]
    assert catalogue.check("login", "zh-CN", check_on_gbk) == parts


def test_a_text_that_the_operator_wrote_never_gives_way() -> None:
    with pytest.raises(ConfigError, match=r"messages\.login\.ko: .*gbk"):
        Catalogue({"login": {"ko": "인증번호 {{ code }}"}}).check("login", "zh-CN", check_on_gbk)


def test_the_default_locales_text_never_gives_way() -> None:
    with pytest.raises(ConfigError, match=r"built-in\.login\.ko: .*gbk"):
        Catalogue({}).check("login", "ko", check_on_gbk)


def test_no_refusal_of_a_text_is_without_its_place() -> None:
    """Whatever is wrong, the operator reads where."""
    for wrong in (
        {"ttl": 299},
        {"max_parts": 0},
        {"webotp_host": "?"},
        {"android_hash": "?"},
        {"variables": {"x": "@"}},
    ):
        with pytest.raises(ConfigError, match=r"^messages\.login\.zh-CN: "):
            check("{{ code }}，5分钟", **wrong)
