"""One filed text and one signature: what they may be, and how they become the message.

【signature】text              or  Acme: text                 or  text【signature】
@host #code hash               the last line: WebOTP's host and code, then Android's SMS Retriever hash
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from otp_service.errors import ConfigError
from otp_service.plain_text import check_plain, digit_runs

# An SMS is plain text: HTML escapes would reach the person as they are.
_TEMPLATES = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_TEMPLATES.globals.clear()


@dataclass(frozen=True, slots=True)
class Signature:
    """Who the message is from. `position` "gateway" means that the gateway adds it; it counts as length all the same.

    Raises `ConfigError` for a text that is not 2–20 plain characters.
    """

    text: str
    position: Literal["front", "rear", "gateway"]
    style: Literal["brackets", "prefix"] = "brackets"
    """【text】, as carriers in China require, or `text: `."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.text) <= 20 or self.text != self.text.strip():
            raise ConfigError("signature: write 2 to 20 characters, with no blank at either end.")
        check_plain(self.text, "signature")
        if digit_runs(self.text):
            raise ConfigError("signature: take out the run of four or more digits; phones may take it for the code.")
        if self.style == "prefix" and self.position == "rear":
            raise ConfigError('signature: one of style "prefix" stands in front; use position "front".')

    def sign(self, body: str) -> str:
        """`body` with the signature at its side; unchanged where the gateway adds it."""
        if self.position == "gateway":
            return body
        if self.style == "prefix":
            return f"{self.text}: {body}"
        return f"【{self.text}】{body}" if self.position == "front" else f"{body}【{self.text}】"


@dataclass(frozen=True, slots=True)
class Text:
    """One filed text, parsed: words and `{{ name }}`, nothing else of Jinja."""

    source: str
    names: frozenset[str]
    """What it wants filled in: `code`, and maybe `minutes` and configured variables."""
    where: str = field(compare=False)
    """The place in the configuration, for what is said about it."""
    _template: Template = field(repr=False, compare=False)

    @classmethod
    def parse(cls, source: str, *, where: str) -> Text:
        """Raises `ConfigError` naming `where` for any other template syntax, or not exactly one `{{ code }}`."""
        if "{%" in source or "{#" in source:
            raise ConfigError(f"{where}: take out {{% %}} and {{# #}}; a text holds words and {{{{ name }}}} only.")
        try:
            tree = _TEMPLATES.parse(source)
        except TemplateSyntaxError as error:
            raise ConfigError(
                f"{where}: write each variable as {{{{ name }}}}: {(error.message or '').rstrip('.')}."
            ) from error
        pieces = [piece for output in tree.find_all(nodes.Output) for piece in output.nodes]
        if not all(isinstance(piece, nodes.Name | nodes.TemplateData) for piece in pieces):
            raise ConfigError(f"{where}: write {{{{ name }}}} only, without filters, attributes, calls or literals.")
        names = [piece.name for piece in pieces if isinstance(piece, nodes.Name)]
        if names.count("code") != 1:
            raise ConfigError(f"{where}: write {{{{ code }}}} exactly once; it is there {names.count('code')} times.")
        if "self" in names:
            raise ConfigError(f"{where}: rename the variable self; templates keep that name.")
        return cls(source, frozenset(names), where, _TEMPLATES.from_string(source))

    def fill(self, code: str, minutes: str, variables: Mapping[str, str]) -> str:
        """The words alone, without signature and further lines."""
        return self._template.render({**variables, "code": code, "minutes": minutes})

    def render(
        self,
        code: str,
        minutes: int,
        variables: Mapping[str, str],
        signature: Signature | None,
        webotp_host: str = "",
        android_hash: str = "",
    ) -> str:
        """The complete message, as the channel must send it.

        With a host and a hash both stand in the last line: WebOTP's parser ignores what follows the code there
        (WICG sms-one-time-codes §3.2), and Android wants the hash last.
        """
        body = self.fill(code, str(minutes), variables)
        lines = [signature.sign(body) if signature else body]
        trailer = " ".join(filter(None, [webotp_host and f"@{webotp_host} #{code}", android_hash]))
        return "\n".join([*lines, trailer] if trailer else lines)
