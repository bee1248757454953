"""Regular expressions for what a stranger answers: ordinary ones, less everything that can go back and try again.

`[0-9]+x` tried on many digits goes back over them for every start, and two such repeats in one pattern take the cube
of the length. So a repeat here must be possessive (`[0-9]++`: what it took it keeps), stands behind one character or
class, and there are few choices (`|`, `?`). A search then takes at most the square of the text's length, whatever the
text. `LONGEST_TEXT` holds that to hundredths of a second: 1 to 10 ms were measured, 90 ms for a pattern made to hurt.
"""

from __future__ import annotations

import re

from otp_service.errors import ConfigError

LONGEST_TEXT = 2048
"""Characters of an answer that a pattern is shown."""
_LONGEST_PATTERN = 200
_MOST_CHOICES = 4

_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<group>\((?:\?.?)?)"
    r"|(?P<repeat>(?:[*+]|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\})(?P<mode>[+?]?))|(?P<choice>[|]|\?[+?]?)|(?P<other>.)",
    re.DOTALL,
)


def compile_safe(source: str) -> re.Pattern[str]:
    """Raises `ConfigError`, which says what to write instead."""
    if not source or len(source) > _LONGEST_PATTERN:
        raise ConfigError(f"a pattern has 1 to {_LONGEST_PATTERN} characters")
    choices, before = 0, ""
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup or "", token.group()
        if token["repeat"]:
            _check_repeat(source, token, before)
        elif kind == "choice":
            choices += 1
        elif (kind == "group" and text not in ("(", "(?:")) or (kind == "escape" and text[1] in "123456789"):
            raise ConfigError(f"take out {text}: of groups there are ( ) and (?: ), and no references to them")
        before = text
    if choices > _MOST_CHOICES:
        raise ConfigError(f"a pattern has at most {_MOST_CHOICES} choices (| and ?); make several rules of it")
    try:
        return re.compile(source)
    except re.error as error:
        raise ConfigError(f"not a regular expression: {error.msg}") from error


def _check_repeat(source: str, token: re.Match[str], before: str) -> None:
    if before == ")":
        raise ConfigError("a repeat stands behind one character or class; take the one behind ) out")
    if token["mode"] != "+" and not re.fullmatch(r"\{[0-9]+\}", token["repeat"]):
        bare = token["repeat"].removesuffix("?")
        mended = f"{source[: token.start()]}{bare}+{source[token.end() :]}"
        raise ConfigError(f"write {bare}+ for {token['repeat']}, so that it never goes back: {mended}")
