"""The configuration is read once and strictly: every fault is named by its key, and no secret is ever shown."""

from __future__ import annotations

import base64
import datetime
import secrets
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from otp_service import config, pumping
from otp_service.errors import ConfigError
from otp_service.policy import Limits, Spend, Window


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


SECRET_KEY, FINGERPRINT_KEY = new_key(), new_key()

EXAMPLE = f"""
[service]
bind = "127.0.0.1:8000"
admin_bind = "127.0.0.1:9000"
secret_keys = ["2026a:{SECRET_KEY}"]
fingerprint_key = "{FINGERPRINT_KEY}"
default_region = "CN"
[redis]
url = "redis://localhost:6379/0"
prefix = "otp"
durability = "async"
[purposes.login]
code_length = 6
ttl = 300
max_attempts = 5
max_sends = 4
cooldown = [60, 60, 120]
resend = "reuse"
token_ttl = 600
max_parts = 1
locale = "zh-CN"
webotp_host = ""
[messages.login]
zh-CN = "您的验证码是{{{{ code }}}}，{{{{ minutes }}}}分钟内有效，请勿告知他人。"
[limits]
recipient = ["5/1h", "10/24h"]
failures = ["10/1h", "20/24h"]
disable_after = 100
client_ip = ["100/1h"]
prefix = ["30/1h"]
[routing]
regions = ["CN"]
on_unknown = "failover"
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = "http://127.0.0.1:8025/sms.aspx"
profile = "seed"
encoding = "utf-8"
userid = "12"
account = "demo"
password = "hunter2-of-the-file"
extno = ""
signature = "今信科技"
signature_position = "front"
answer_within = 1.5
deadline = 5
[[clients]]
name = "shop"
key_hashes = []
purposes = ["login", "signup", "password_reset"]
require = ["client_ip"]
"""


def tables(**changes: Any) -> config.Tables:
    """The example with `section__key` replaced; None takes a key out, channels and clients mean their first item."""
    document = tomllib.loads(EXAMPLE)
    for path, value in changes.items():
        *parents, key = path.split("__")
        here: Any = document
        for parent in parents:
            here = here.setdefault(parent, {}) if isinstance(here, dict) else here[0]
            here = here[0] if isinstance(here, list) else here
        here[key] = value
        if value is None:
            del here[key]
    return document


def read(environ: dict[str, str] | None = None, folder: Path = Path(), **changes: Any) -> config.Config:
    return config.parse(tables(**changes), environ or {}, folder)


def refusal(environ: dict[str, str] | None = None, folder: Path = Path(), **changes: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        read(environ, folder, **changes)
    return str(refused.value)


class TestTheExample:
    def test_loads_with_every_key_of_the_contract(self) -> None:
        """The example of the contract is a configuration."""
        rules = read().rules()

        assert [channel.name for channel in rules.channels] == ["primary"]
        assert rules.regions == {"CN"}
        assert rules.policies["signup"].cooldown == (60, 60, 120)
        assert rules.limits.recipient == (Window(5, 3600), Window(10, 86400))

    def test_counts_money_as_it_is_written(self) -> None:
        """In millionths: a float of TOML is the decimal that stands there."""
        prices = {"CN": 0.0065, "US": "0.0079", "*": 1}
        spend = read(spend__prices=prices, spend__client=99.5, clients__spend=7).rules().spend
        assert spend == Spend({"CN": 6500, "US": 7900, "*": 1_000_000}, 99_500_000, {"shop": 7_000_000}, None)
        assert [spend.price(region) for region in ("CN", "FR")] == [6500, 1_000_000]

    def test_takes_a_price_from_the_environment(self) -> None:
        """Names of variables lose their case on the way; it goes over the file's, however that is spelled."""
        environ = {"OTP_SPEND__PRICES__CN": "0.02", "OTP_SPEND__PRICES__US": "0.01"}
        spend = read(environ, spend__prices={"CN": 0.0065}).rules().spend
        assert spend.prices == {"CN": 20_000, "US": 10_000}

    def test_takes_every_limit_by_its_name(self) -> None:
        names = (
            "recipient",
            "failures",
            "client_ip",
            "prefix",
            "session",
            "device",
            "country",
            "client",
            "installation",
        )
        limits = read(**{f"limits__{name}": ["7/1m", "9/1d"] for name in names}, limits__disable_after=3).rules().limits
        windows = (Window(7, 60), Window(9, 86400))
        assert limits == Limits(**dict.fromkeys(names, windows), disable_after=3)

    def test_watches_for_pumping_and_refuses_nothing(self) -> None:
        """Whoever writes no [pumping] has the mode `monitor`."""
        assert read().rules().pumping == pumping.Rules(mode="monitor")

    def test_shows_no_secret_when_printed(self) -> None:
        """A configuration in a log or a traceback gives nothing away."""
        shown = repr(read(redis__url="redis://:hunter2@localhost/0"))

        assert not any(secret in shown for secret in ("hunter2", SECRET_KEY, FINGERPRINT_KEY))

    def test_built_in_purposes_exist_beside_configured_ones(self) -> None:
        """A purpose of one's own takes none away."""
        assert {*read(purposes__payment={"ttl": 120}).rules().policies} == {
            "login",
            "signup",
            "password_reset",
            "payment",
        }

    def test_sends_to_the_default_region_when_none_is_named(self) -> None:
        """No regions means the home region, never everywhere."""
        assert read(routing__regions=None).rules().regions == {"CN"}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"service__bnd": "x"}, "service.bnd: unknown key", 'did you mean "bind"?'),
    ({"servce": {}}, "servce: unknown key", 'did you mean "service"?'),
    ({"service": None}, "service: missing", "table [service]"),
    ({"channels__pasword": "hunter2"}, "channels.primary.pasword: unknown key", 'did you mean "password"?'),
    ({"channels__password": None}, "channels.primary.password: missing", "password_file"),
    ({"channels__answer_within": 5}, "channels.primary.answer_within", "less than deadline"),
    ({"channels__deadline": 31}, "channels.primary.deadline: too large", "at most 30"),
    ({"channels__protocol": "smtp"}, "channels.primary.protocol", '"sms_aspx"'),
    ({"channels__profile": "clasic"}, "channels.primary.profile", '"classic"'),
    ({"channels__userid": 12}, "channels.primary.userid: not text in quotes", "text in quotes"),
    ({"channels__url": "ftp://x"}, "channels.primary.url", "http://"),
    ({"channels__url": "http://u:hunter2@x/sms.aspx"}, "channels.primary.url", "own keys"),
    ({"channels__signature": "今"}, "channels.primary.signature", "2 to 20"),
    ({"channels__name": "Primary"}, "channels.Primary.name", "a-z"),
    ({"channels__messages": {"logn": {"en": "{{ code }}"}}}, "channels.primary.messages.logn", "login"),
    ({"channels": []}, "channels: empty", "[[channels]]"),
    ({"purposes__login__code_length": 5}, "purposes.login.code_length", "6 to 10"),
    ({"purposes__login__code_length": 11}, "purposes.login.code_length", "6 to 10"),
    ({"purposes__login__ttl": 59}, "purposes.login.ttl", "60 to 600"),
    ({"purposes__login__ttl": 601}, "purposes.login.ttl", "allow_long_ttl"),
    ({"purposes__login": {"ttl": 1801, "allow_long_ttl": True}}, "purposes.login.ttl", "60 to 1800"),
    ({"purposes__login__ttl": True}, "purposes.login.ttl: not a number", "seconds"),
    ({"purposes__login__token_ttl": 59}, "purposes.login.token_ttl", "60 to 3600"),
    ({"purposes__login__max_attempts": 11}, "purposes.login.max_attempts", "1 to 10"),
    ({"purposes__login__max_sends": 0}, "purposes.login.max_sends", "1 to 10"),
    ({"purposes__login__cooldown": []}, "purposes.login.cooldown: empty", "[60, 60, 120]"),
    ({"purposes__login__cooldown": [0]}, "purposes.login.cooldown[0]: too small", "seconds"),
    ({"purposes__login__cooldown": [60] * 11}, "purposes.login.cooldown: too many", "1 to 10"),
    ({"purposes__Login": {}}, "purposes.Login", "a-z"),
    ({"purposes__login__webotp_host": "-a.example.com"}, "purposes.login.webotp_host", "login.example.com"),
    ({"purposes__login__webotp_host": "a." + "b" * 64}, "purposes.login.webotp_host", "login.example.com"),
    ({"purposes__login__webotp_host": "192.0.2.1"}, "purposes.login.webotp_host", "login.example.com"),
    ({"limits__recipient": ["5 an hour"]}, "limits.recipient[0]", "5/1h"),
    ({"spend__prices": {"CHINA": 1}}, "spend.prices", "ISO 3166"),
    ({"spend__prices": {"CN": 0}}, "spend.prices.CN: too small", "prices by region"),
    ({"spend__client": "much"}, "spend.client: not valid", "such as 250"),
    ({"spend__client": 5}, "spend.prices: a cap (client) needs a price for CN", '"*"'),
    ({"spend__installation": 5, "spend__prices": {"US": 1}}, "a cap (installation) needs a price for CN", "write one"),
    ({"clients__spend": 5}, "a cap (clients.shop.spend) needs a price", "write one"),
    ({"limits__sesion": ["5/1h"]}, "limits.sesion: unknown key", "allowed here: recipient"),
    ({"routing__regions": ["CHINA"]}, "routing.regions", '["CN", "HK"]'),
    ({"service__default_region": "XX"}, "service.default_region", '"CN"'),
    ({"service__default_region": "", "routing__regions": None}, "routing.regions: missing", '["*"]'),
    ({"service__bind": "8000"}, "service.bind", '"host:port"'),
    ({"service__bind": "127.0.0.1:99999"}, "service.bind", '"host:port"'),
    ({"service__secret_keys": None}, "service.secret_keys: missing", "secrets new"),
    ({"service__fingerprint_key": None}, "service.fingerprint_key: missing", "secrets new"),
    ({"service__secret_keys": []}, "service.secret_keys: empty", "secrets new"),
    ({"redis__url": "http://localhost"}, "redis.url", "redis://host:6379/0"),
    ({"redis__url": "redis+sentinel://:hunter2@h1,h2"}, "redis.url", "redis+sentinel://h1,h2/mymaster"),
    ({"redis__durability": "always"}, "redis.durability", '"async" or "wait"'),
    ({"clients__purposes": ["login", "sign_up"]}, "clients.shop.purposes", 'did you mean "signup"?'),
    ({"clients__require": ["ip"]}, "clients.shop.require[0]", '"client_ip"'),
    ({"clients__key_hashes": ["a" * 64]}, "clients", "otp-service keys new shop"),
    ({"clients__key_hashes": ["a", "b", "c"]}, "clients.shop.key_hashes: too many", "at most two"),
    ({"messages__logn": {"en": "{{ code }}"}}, "messages.logn", 'did you mean "login"?'),
    ({"messages__login": {"zh-CN": "验证码"}}, "messages.login.zh-CN", "{{ code }}"),
    ({"messages__login": {"zh-CN": "{{ code }}，10分钟"}}, "messages.login.zh-CN on channel primary", "ttl = 600"),
    ({"messages__login": {"english!": "{{ code }}"}}, "messages.login.english!", "zh-CN"),
    (
        {"test_numbers": [{"number": "x", "code": "123456", "until": "2030-01-01"}]},
        "test_numbers",
        "allow_test_numbers",
    ),
]


class TestFaults:
    @pytest.mark.parametrize(("changes", "key", "mend"), FAULTS, ids=lambda value: str(value)[:60])
    def test_are_named_with_their_key_and_what_is_allowed(self, changes: dict[str, Any], key: str, mend: str) -> None:
        """T72, unknown keys among them: each line says which key, and what to write."""
        text = refusal(**changes)

        assert key in text
        assert mend in text
        assert "hunter2" not in text

    def test_are_all_told_at_once_one_a_line(self) -> None:
        """Nobody mends a file one start at a time."""
        text = refusal(service__bnd="x", purposes__login__ttl=5, channels__deadline="soon", redis__url=None)

        assert len(text.splitlines()) == 4

    def test_of_two_channels_with_one_name(self) -> None:
        """The environment could not tell them apart, nor names that differ in - and _ only."""
        first = tables()["channels"][0]

        assert "channels.primary: two have this name" in refusal(channels=[first, first])
        assert "two have this name" in refusal(channels=[{**first, "name": "a-b"}, {**first, "name": "a_b"}])

    def test_of_the_file_itself(self, tmp_path: Path) -> None:
        """A missing file and a broken one each say so in one line."""
        broken = tmp_path / "otp.toml"
        broken.write_text("[service\n")

        for path, word in ((tmp_path / "none.toml", "No such file"), (broken, "not TOML")):
            with pytest.raises(ConfigError, match=word) as refused:
                config.load(path, {})
            assert len(str(refused.value).splitlines()) == 1

    def test_never_is_the_mark_that_some_editors_write_first(self, tmp_path: Path) -> None:
        """A byte order mark says UTF-8, and is no part of the document."""
        marked = tmp_path / "otp.toml"
        marked.write_text(EXAMPLE, "utf-8-sig")

        assert config.load(marked, {}).service.default_region == "CN"


WEAK = {
    "empty": "",
    "placeholder": "<base64 32 bytes>",
    "short": base64.b64encode(secrets.token_bytes(31)).decode(),
    "word": base64.b64encode(b"changeme".ljust(32)).decode(),
    "sentence": base64.b64encode(b"correct horse battery staple, all of it").decode(),
    "zeros": base64.b64encode(bytes(32)).decode(),
    "padded": base64.b64encode(b"changeme".ljust(40, b"\0")).decode(),
    "counting": base64.b64encode(bytes(range(32))).decode(),
    "counting by threes": base64.b64encode(bytes(range(0, 96, 3))).decode(),
    "repeated": base64.b64encode(secrets.token_bytes(16) * 2).decode(),
    "not base64": "!" * 44,
}


class TestKeys:
    @pytest.mark.parametrize("name", WEAK)
    def test_that_are_weak_stop_the_start(self, name: str) -> None:
        """In both places, without being shown."""
        text = refusal(service__secret_keys=[f"a:{WEAK[name]}"], service__fingerprint_key=WEAK[name])

        assert "service.secret_keys[0]: " in text
        assert "service.fingerprint_key: " in text
        assert "otp-service secrets new" in text
        assert not WEAK[name] or WEAK[name] not in text

    def test_that_are_equal_stop_the_start(self) -> None:
        """One key has one use."""
        key = new_key()

        assert "must all differ" in refusal(service__secret_keys=[f"a:{key}"], service__fingerprint_key=key)
        assert "must all differ" in refusal(service__secret_keys=[f"a:{key}", f"b:{key}"])
        assert "same kid" in refusal(service__secret_keys=[f"a:{key}", f"a:{new_key()}"])

    @pytest.mark.parametrize("kid", ["", "A", "a-b", "x" * 17])
    def test_need_an_id_of_the_right_form(self, kid: str) -> None:
        """A kid is 1 to 16 of a-z and 0-9."""
        assert "kid" in refusal(service__secret_keys=[f"{kid}:{new_key()}"])

    def test_keep_their_order_because_the_first_signs(self) -> None:
        """Rotation depends on it."""
        pairs = read(service__secret_keys=[f"b:{new_key()}", f"a:{SECRET_KEY}"]).secret_key_pairs()

        assert [kid for kid, _ in pairs] == ["b", "a"]
        assert pairs[1][1] == base64.b64decode(SECRET_KEY)


class TestTheEnvironment:
    def test_lies_on_top_of_the_file(self) -> None:
        """Keys, tables and list items by name, in any case."""
        loaded = read(
            {
                "OTP_SERVICE__BIND": "0.0.0.0:80",
                "otp_purposes__signup__ttl": "120",
                "OTP_CHANNELS__PRIMARY__PASSWORD": "of the environment",
                "OTP_CLIENTS__SHOP__REQUIRE": "session",
                "OTP_MESSAGES__LOGIN__ZH_CN": "验证码{{ code }}",
            }
        )

        assert loaded.service.bind == ("0.0.0.0", 80)
        assert loaded.purposes["signup"].ttl == 120
        assert loaded.channels[0].password.get_secret_value() == "of the environment"
        assert loaded.clients[0].require == ("session",)
        assert loaded.messages["login"] == {"zh-CN": "验证码{{ code }}"}

    @pytest.mark.parametrize("written", ["CN,HK", " CN , HK ", '["CN", "HK"]', "['CN', 'HK']"])
    def test_writes_lists_with_commas_or_as_arrays(self, written: str) -> None:
        """JSON and TOML arrays both."""
        assert read({"OTP_ROUTING__REGIONS": written}).rules().regions == {"CN", "HK"}

    def test_is_enough_without_a_file(self) -> None:
        """A container needs no file."""
        environ = {
            "OTP_SERVICE__SECRET_KEYS": f"2026a:{SECRET_KEY}",
            "OTP_SERVICE__FINGERPRINT_KEY": FINGERPRINT_KEY,
            "OTP_SERVICE__DEFAULT_REGION": "CN",
            "OTP_REDIS__URL": "redis://redis",
            "OTP_CHANNELS__MAIN__PROTOCOL": "sms_aspx",
            "OTP_CHANNELS__MAIN__URL": "https://sms.example.com/sms.aspx",
            "OTP_CHANNELS__MAIN__ACCOUNT": "a",
            "OTP_CHANNELS__MAIN__PASSWORD": "p",
            "OTP_CHANNELS__MAIN__SIGNATURE": "今信科技",
            "OTP_CLIENTS__SHOP__PURPOSES": "login",
        }
        loaded = config.load(None, environ)

        assert [channel.name for channel in loaded.channels] == ["main"]
        assert loaded.clients[0].purposes == ("login",)

    def test_may_hold_what_orchestrators_put_there(self) -> None:
        """Kubernetes' service links have one underscore, and are none of ours."""
        read({"OTP_SERVICE_PORT": "tcp://10.0.0.1:80", "OTP_CONFIG": "/etc/otp.toml", "OTP_SERVICE_HOST": "10.0.0.1"})

    @pytest.mark.parametrize(
        ("variable", "hint"),
        [
            ("OTP_SERVICE__BND", 'did you mean "bind"?'),
            ("OTP_SERVCE__BIND", 'did you mean "service"?'),
            ("OTP_CHANNELS__PRIMRY__PASSWORD", 'did you mean "primary"?'),
            ("OTP_CHANNELS__PRIMARY__PASWORD", 'did you mean "password"?'),
            ("OTP_CLIENTS__SHP__REQUIRE", 'did you mean "shop"?'),
            ("OTP_PURPOSES__LOGN__TTL", 'did you mean "login"?'),
            ("OTP_SERVICE__BIND__PORT", "service.bind is a value"),
            ("OTP_CHANNELS__PRIMARY", "name one of it and a key, as OTP_CHANNELS__<NAME>__<KEY>"),
            ("OTP_ROUTING__REGIONS__CN", "routing.regions is a value"),
            ("OTP_SERVICE__", "unknown key"),
        ],
    )
    def test_stops_the_start_with_a_misspelt_variable(self, variable: str, hint: str) -> None:
        """Named as it was written, with the nearest key, and without its value."""
        text = refusal({variable: "hunter2"})

        assert variable in text
        assert hint in text
        assert "hunter2" not in text

    def test_is_named_only_where_it_is_at_fault(self) -> None:
        """Not where one key of a table came from it, and others of the file are wrong together."""
        key = tables()["service"]["fingerprint_key"]
        wrong = refusal({"OTP_SERVICE__ADMIN_BIND": "127.0.0.1:9009"}, service__secret_keys=[f"a:{key}"])

        assert "must all differ" in wrong
        assert "OTP_SERVICE__ADMIN_BIND" not in wrong


def test_a_configuration_that_bounds_no_wrong_codes_is_warned_of() -> None:
    today = datetime.date(2026, 1, 31)
    assert not any("limits.failures" in line for line in read().warnings(today))
    assert any("limits.failures" in line for line in read(limits__failures=[]).warnings(today))


class TestSecretFiles:
    def test_are_read_from_the_file_and_the_environment(self, tmp_path: Path) -> None:
        """Relative to the configuration's folder, less the line's end."""
        (tmp_path / "password").write_text("s3cret\n")
        (tmp_path / "keys").write_text(f"a:{new_key()}\nb:{new_key()}\n")
        environ = {"OTP_SERVICE__SECRET_KEYS_FILE": str(tmp_path / "keys")}

        loaded = read(environ, tmp_path, channels__password=None, channels__password_file="password")

        assert loaded.channels[0].password.get_secret_value() == "s3cret"
        assert [kid for kid, _ in loaded.secret_key_pairs()] == ["a", "b"]

    def test_of_the_environment_replace_the_secret_of_the_file(self, tmp_path: Path) -> None:
        """And the other way round."""
        (tmp_path / "password").write_text("new")
        by_file = read({"OTP_CHANNELS__PRIMARY__PASSWORD_FILE": str(tmp_path / "password")})
        by_value = read(
            {"OTP_CHANNELS__PRIMARY__PASSWORD": "new"}, channels__password=None, channels__password_file="gone"
        )

        assert by_file.channels[0].password == by_value.channels[0].password

    def test_that_can_not_be_read_are_named(self, tmp_path: Path) -> None:
        """Key, file and reason."""
        of_key = refusal(folder=tmp_path, channels__password=None, channels__password_file="gone")
        of_list = refusal({"OTP_SERVICE__SECRET_KEYS_FILE": str(tmp_path / "gone")})

        gone = f"can't read {tmp_path / 'gone'}: No such file or directory"
        assert of_key == f"channels.primary.password_file: {gone}"
        assert of_list == f"service.secret_keys_file: {gone}"

    def test_whose_paths_are_no_text_are_named_once(self) -> None:
        """The secret isn't missing besides."""
        text = refusal(channels__password=None, channels__password_file=5)

        assert text == "channels.primary.password_file: not text in quotes; write the path of a file"

    def test_leave_every_other_fault_to_be_said(self, tmp_path: Path) -> None:
        """All of them at once, as ever."""
        changes = {"channels__password": None, "channels__password_file": "gone", "channels__deadline": 31}
        said = refusal(folder=tmp_path, **changes).splitlines()

        assert [line.partition(":")[0] for line in said] == [
            "channels.primary.password_file",
            "channels.primary.deadline",
        ]

    def test_may_begin_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        """Which is no character of the secret."""
        (tmp_path / "password").write_text("s3cret\n", "utf-8-sig")
        loaded = read(folder=tmp_path, channels__password=None, channels__password_file="password")

        assert loaded.channels[0].password.get_secret_value() == "s3cret"

    def test_exclude_the_secret_itself(self, tmp_path: Path) -> None:
        """Which of the two would count?"""
        both = {"OTP_REDIS__URL": "redis://a", "OTP_REDIS__URL_FILE": "b"}

        assert "one of the two" in refusal(channels__password_file="password")
        assert "one of the two" in refusal(both)

    def test_are_for_secrets_only(self) -> None:
        """A misspelt key is still one."""
        assert "service.bind_file: unknown key" in refusal(service__bind_file="x")


class TestTestNumbers:
    ENTRY: ClassVar = {"number": "+8613800138000", "code": "246810", "until": "2026-01-31"}

    def test_become_rules_where_they_are_allowed(self) -> None:
        """By E.164, with the code kept from print."""
        rules = read(service__allow_test_numbers=True, test_numbers=[self.ENTRY]).rules()

        assert rules.test_numbers["+8613800138000"].until == datetime.date(2026, 1, 31)
        assert "246810" not in repr(rules)

    @pytest.mark.parametrize("code", ["12345", "1234567", "12345x", "１２３４５６"])
    def test_need_a_code_that_could_be_sent(self, code: str) -> None:
        """Its length is the purposes'."""
        text = refusal(service__allow_test_numbers=True, test_numbers=[{**self.ENTRY, "code": code}])

        assert "test_numbers[0].code: write 6 digits" in text

    def test_past_their_last_day_are_a_warning(self) -> None:
        """An old entry does no harm, but no good either."""
        loaded = read(service__allow_test_numbers=True, test_numbers=[self.ENTRY])

        assert any("is over" in line for line in loaded.warnings(datetime.date(2026, 2, 1)))
        assert not any("is over" in line for line in loaded.warnings(datetime.date(2026, 1, 31)))


class TestTexts:
    def test_of_further_languages_give_way_where_they_do_not_fit(self) -> None:
        """GBK has no Korean, and a long signature leaves less room; the default language must fit."""
        gbk = read(channels__encoding="gbk").texts()["primary"].parts["signup"]
        long = read(channels__signature="今信科技有限公司北京第二分公司").texts()["primary"].parts["signup"]

        assert "zh-CN" in gbk
        assert "ko" not in gbk
        assert "zh-CN" in long
        assert "de" not in long

    def test_of_the_default_language_must_fit(self) -> None:
        """Nothing else would be read instead."""
        assert "gbk" in refusal(channels__encoding="gbk", purposes__signup={"locale": "ko"})


class TestMerging:
    def test_goes_key_by_key_and_replaces_lists(self) -> None:
        """What lies on top wins, and nothing else is lost."""
        merged = config.merge({"a": {"b": 1, "c": 2}, "l": [1, 2]}, {"a": {"c": 3}, "l": [4]})

        assert merged == {"a": {"b": 1, "c": 3}, "l": [4]}

    def test_lets_a_secret_file_replace_a_secret(self) -> None:
        """Never both."""
        assert config.merge({"fingerprint_key": "a"}, {"fingerprint_key_file": "b"}) == {"fingerprint_key_file": "b"}


class TestChannelRules:
    def test_say_what_a_channel_carries_and_when_its_turn_comes(self) -> None:
        first = tables()["channels"][0]
        second = {
            **first,
            "name": "backup",
            "purposes": ["login"],
            "regions": ["CN", "TW"],
            "prefixes": ["+86138"],
            "recipient_limits": ["2/1h"],
            "weight": 3,
        }
        rules = read(channels=[first, second]).rules().channels
        assert [(rule.priority, rule.weight, rule.strict) for rule in rules] == [(0, 1, False), (1, 3, True)]
        assert rules[0].recipient_windows == (Window(5, 3600),)
        assert (rules[1].purposes, rules[1].regions) == ({"login"}, {"CN", "TW"})
        assert (rules[1].prefixes, rules[1].recipient_windows) == (("+86138",), (Window(2, 3600),))

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"purposes": ["logon"]}, "channels.primary.purposes: no purpose is called 'logon'"),
            ({"purposes": ["login"]}, "purposes.signup: no channel carries it"),
            ({"clients": ["nobody"]}, "channels.primary.clients: no client is called 'nobody'"),
            ({"regions": ["XX"]}, "channels.primary.regions"),
            ({"prefixes": ["0086"]}, "channels.primary.prefixes[0]: not in the form that is allowed; write beginnings"),
            ({"extnos": {"Shop": "1"}}, "channels.primary.extnos"),
            ({"weight": 0}, "channels.primary.weight: too small"),
            ({"recipient_limits": ["many"]}, "channels.primary.recipient_limits[0]"),
        ],
    )
    def test_are_checked_at_the_start(self, changes: dict[str, object], fault: str) -> None:
        first = tables()["channels"][0]
        assert fault in refusal(channels=[{**first, **changes}])


class TestPumping:
    def test_is_set_up_by_its_table(self) -> None:
        """Times as limits write theirs."""
        table = {"mode": "block", "first_seen": 5, "country_first_seen": 20, "block_for": "30m", "window": "7d"}
        assert read(pumping={**table, "safe": ["CN", "+85290"]}).rules().pumping == pumping.Rules(
            "block", 5, 20, 1800, 7 * 86400, frozenset({"CN", "+85290"})
        )

    @pytest.mark.parametrize(
        ("table", "told"),
        [
            ({"mode": "watch"}, 'pumping.mode: not one of those allowed; write "off", "monitor"'),
            ({"first_seen": 1}, "pumping.first_seen: "),
            ({"block_for": "2d"}, "pumping.block_for: "),
            ({"block_for": "soon"}, "pumping.block_for: not a time"),
            ({"safe": ["XX"]}, "pumping.safe: 'XX' is neither"),
            ({"safe": ["86138"]}, "pumping.safe: '86138' is neither"),
        ],
    )
    def test_says_what_to_write(self, table: dict[str, Any], told: str) -> None:
        """Each key by its name."""
        assert told in refusal(pumping=table)


@pytest.mark.parametrize("bind", ["127.0.0.1:9000", "0.0.0.0:9000"])
def test_two_servers_dont_share_an_address(bind: str) -> None:
    assert "service.admin_bind: it is the address of service.bind" in refusal(service__bind=bind)
