"""What may stand in an SMS of ours: plain words, nothing that a phone or a person takes for something else."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from otp_service.errors import ConfigError

# Letters and marks that print as nothing, beside the categories Cc, Cf, Zl and Zp.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ADDRESS = re.compile(
    r"://|\bwww\b|@"
    r"|\w\.[^\W\d_]{2,}"  # a domain in any script
    r"|[a-z0-9]。[a-z]{2,}"  # browsers take the ideographic full stop for a dot
    r"|\d{1,3}(\.\d{1,3}){3}",
    re.IGNORECASE,
)
_FORMAT_TRICK = re.compile(r"[{}]|%[a-z(]|\$\(", re.IGNORECASE)
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
# Letters that most fonts draw as a Latin one.
_CYRILLIC_TWINS = frozenset("АВЕЅІЈКМНОРСТУХҮҺԌԚԜавеѕіјкморстухүһԁԛԝӏӀ") - frozenset("вкмт")
_GREEK_TWINS = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχ")


def check_plain(text: str, where: str) -> None:
    """Refuse everything that a text, a value or a signature must not hold. Raises `ConfigError` naming `where`."""
    for char in text:
        if unicodedata.category(char) in _UNPRINTABLE or char in _INVISIBLE:
            raise ConfigError(
                f"{where}: take out the invisible character U+{ord(char):04X}; write one line of plain text."
            )
    folded = unicodedata.normalize("NFKC", text)
    if "【" in folded or "】" in folded:
        raise ConfigError(f"{where}: take out 【 and 】; they mark the signature, which is added by itself.")
    if _FORMAT_TRICK.search(folded):
        raise ConfigError(f"{where}: take out the braces or the % sign; only {{{{ name }}}} in a text is filled in.")
    if _ADDRESS.search(folded):
        raise ConfigError(
            f"{where}: take out the web or mail address, and write a blank after every full stop; a message with a "
            "code links nowhere."
        )
    _check_look_alikes(text, where)


def digit_runs(text: str, least: int = 4) -> list[str]:
    """Every run of at least `least` digits, in any script, as ASCII digits: what a phone may take for the code."""
    folded = unicodedata.normalize("NFKC", text)
    runs = (
        "".join(str(unicodedata.decimal(char)) for char in run) for digit, run in groupby(folded, _is_digit) if digit
    )
    return [run for run in runs if len(run) >= least]


def _is_digit(char: str) -> bool:
    return unicodedata.category(char) == "Nd"


def _check_look_alikes(text: str, where: str) -> None:
    for char in text:
        folded = unicodedata.normalize("NFKC", char)
        if folded.isascii() and folded.isalpha() and not char.isascii() and _first_word(char) != "FULLWIDTH":
            raise ConfigError(f"{where}: write plain letters; U+{ord(char):04X} only looks like one.")
    for word in re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", text)):
        alphabets = {_first_word(char) for char in word} & _ALPHABETS
        if len(alphabets) > 1:
            mixed = " and ".join(sorted(name.capitalize() for name in alphabets))
            raise ConfigError(f"{where}: write each word in one alphabet; a word here mixes {mixed} letters.")
    for alphabet, twins in (("CYRILLIC", _CYRILLIC_TWINS), ("GREEK", _GREEK_TWINS)):
        letters = {char for char in text if char.isalpha() and _first_word(char) == alphabet}
        if letters and letters <= twins:
            raise ConfigError(f"{where}: all {alphabet.capitalize()} letters here look like Latin ones; write Latin.")


def _first_word(char: str) -> str:
    """The script of a letter, as the first word of its Unicode name."""
    return unicodedata.name(char, "").partition(" ")[0]
