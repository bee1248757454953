"""`init`: a few questions, and a configuration that can start."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import click

from otp_service import config
from otp_service.api_keys import new_key
from otp_service.cli.options import DEFAULT_FILE, json_option
from otp_service.cli.output import print_json
from otp_service.cli.private_files import write_private
from otp_service.cli.secrets import new_key_id, new_secret
from otp_service.cli.typed import program
from otp_service.config.protocols.sms_aspx import speaks_gbk
from otp_service.default_texts import DEFAULT_TEXTS

SIMULATOR = "http://127.0.0.1:8025/sms.aspx"
PROFILES = {"/v2sms": "v2", "/smsjson": "huaxin", "/20150822/": "miaodi"}
"""By how the path of the gateway's address begins, in lower case; every other is `classic`."""

_LOCALES = {"CN": "zh-CN", "TW": "zh-TW", "HK": "zh-TW", "MO": "zh-TW"}


@dataclass(frozen=True, slots=True)
class Answers:
    url: str
    account: str
    password: str = field(repr=False)
    signature: str
    text: str
    region: str
    profile: str
    userid: str
    redis: str
    client: str

    @property
    def locale(self) -> str:
        return _LOCALES.get(self.region, "en")


@click.command()
@click.option("--url", help=f"The gateway's address.  [default: the simulator, {SIMULATOR}]")
@click.option("--account", help="The gateway's account.")
@click.option("--password", envvar="OTP_GATEWAY_PASSWORD", help="Its password; better by $OTP_GATEWAY_PASSWORD.")
@click.option("--signature", help="The signature that the gateway knows, without 【】.")
@click.option("--text", help="The filed text, with {{ code }} and, if you like, {{ minutes }}.")
@click.option("--region", help="Where most numbers are, such as CN.")
@click.option("--profile", type=click.Choice(["seed", "classic", "v2", "huaxin", "miaodi"]), help="[default: by URL]")
@click.option("--userid", default="", help="The gateway's userid, where it wants one.")
@click.option("--redis", default="redis://localhost:6379/0", show_default=True, help="URL of Redis or Valkey.")
@click.option("--client", default="app", show_default=True, help="Name of the application that will call.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_FILE, show_default=True)
@click.option("--yes", is_flag=True, help="Ask nothing: take the default for what is not given.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@json_option
def init(output: Path, yes: bool, force: bool, as_json: bool, **given: Any) -> None:
    """Ask for the gateway's data and write otp.toml, with secrets and an API key made."""
    if output.exists() and not force:
        raise click.ClickException(f"{output} exists; give --force to overwrite it, or another --output")
    answers = _ask(given, yes)
    key = new_key()
    text = _document(answers, key.hash)
    config.parse(config.read_text(text, output), {}, Path())  # never write what could not start
    try:
        write_private(output, text, replace=force)
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from error
    if as_json:
        print_json({"file": str(output), "client": answers.client, "key": key.text})
        return
    click.echo(f"file {output}")
    click.echo(f"key {key.text}")
    at = f" --config {output}"
    click.echo(f"The key belongs to {answers.client}; it is not shown again. Next:", err=True)
    for command in (f"doctor{at} --send NUMBER", f"serve{at}", f"worker{at}"):
        click.echo(f"  {program()} {command}", err=True)


def profile_of(url: str) -> str:
    """The profile that gateways at such an address speak."""
    path = urlsplit(url).path.lower().replace("//", "/")
    return next((profile for start, profile in PROFILES.items() if path.startswith(start)), "classic")


def _ask(given: dict[str, Any], yes: bool) -> Answers:
    def ask(name: str, question: str, default: str | None, *, hide: bool = False) -> str:
        if given[name] is not None:
            return str(given[name])
        if not yes:
            # Without a terminal there is no echo to switch off, and Python would warn of that in its own words.
            hidden = hide and sys.stdin.isatty()
            return str(click.prompt(question, default=default, hide_input=hidden, show_default=not hide, err=True))
        if default is None:
            raise click.UsageError(f"--yes asks nothing, so give --{name}")
        return default

    url = ask("url", "Address of the gateway", SIMULATOR)
    is_simulator = url == SIMULATOR
    account = ask("account", "Account", "demo" if is_simulator else None)
    password = ask("password", "Password", "demo" if is_simulator else None, hide=True)
    signature = ask("signature", "Signature, without 【】", "今信科技" if is_simulator else None)
    offered = _default_text(given["region"] or "CN")
    text = ask("text", "Text, as it is filed", offered)
    region = ask("region", "Region of most numbers", "CN").upper()
    text = _default_text(region) if text == offered else text
    profile = given["profile"] or ("seed" if is_simulator else profile_of(url))
    rest = {name: given[name] for name in ("userid", "redis", "client")}
    return Answers(url, account, password, signature, text, region, profile, **rest)


def _default_text(region: str) -> str:
    return DEFAULT_TEXTS["login"][_LOCALES.get(region.upper(), "en")]


def _document(answers: Answers, key_hash: str) -> str:
    quoted = {name: _quoted(getattr(answers, name)) for name in Answers.__slots__}
    is_own_text = answers.text not in {texts.get(answers.locale) for texts in DEFAULT_TEXTS.values()}
    texted = config.BUILT_IN_PURPOSES if is_own_text else ("login",)
    return _DOCUMENT.substitute(
        quoted,
        secret_key=f"{new_key_id()}:{new_secret()}",
        fingerprint_key=new_secret(),
        purposes="".join(f'[purposes.{name}]\nlocale = "{answers.locale}"\n' for name in config.BUILT_IN_PURPOSES),
        messages="".join(f"[messages.{name}]\n{answers.locale} = {quoted['text']}\n" for name in texted),
        encoding="gbk" if speaks_gbk(answers.url) else "utf-8",
        position="rear" if answers.profile == "huaxin" else "front",
        key_hash=key_hash,
    )


def _quoted(value: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_DOCUMENT = Template("""\
# Written by `otp-service init`. Every key can also come from the environment, as OTP_REDIS__URL
# or OTP_CHANNELS__PRIMARY__PASSWORD, and every secret from a file: password_file = "/run/secrets/gateway".

[service]
bind = "127.0.0.1:8000"
admin_bind = "127.0.0.1:9000"     # /metrics, /livez, /readyz
# The first key signs, all verify; `otp-service secrets rotate` tells how to change it.
secret_keys = ["$secret_key"]
# Names recipients in Redis. Another one starts all counters anew.
fingerprint_key = "$fingerprint_key"
default_region = $region

[redis]
# Keep AOF on, and maxmemory-policy noeviction.
url = $redis

[routing]
# Where we send. Each further region is a further way to run up your bill.
regions = [$region]

[delivery]
admin_bind = "127.0.0.1:9001"     # of the worker, where it shares a host with the API

$purposes
# Filed texts, by purpose and locale. {{ minutes }} is what is left of ttl.
$messages
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = $url
profile = $profile
encoding = "$encoding"
userid = $userid
account = $account
password = $password
signature = $signature
signature_position = "$position"

[[clients]]
name = $client
# `otp-service keys new` makes a second one to roll over to.
key_hashes = ["$key_hash"]
""")
