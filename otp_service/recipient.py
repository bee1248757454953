"""The recipient: one phone number, however it was spelt, as one E.164 string."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from otp_service.errors import InvalidRecipient
from otp_service.numbering import plain_mobile, plans

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber


class LineType(StrEnum):
    """What kind of line a number reaches, as its numbering plan says; some plans (+1) mix fixed lines and mobiles."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    VOIP = "voip"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    PAGER = "pager"
    PERSONAL_NUMBER = "personal_number"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    SATELLITE = "satellite"
    INTERNATIONAL_NETWORK = "international_network"
    UNKNOWN = "unknown"


NEVER_SENT = frozenset(
    {
        LineType.FIXED_LINE,
        LineType.PREMIUM_RATE,
        LineType.SHARED_COST,
        LineType.TOLL_FREE,
        LineType.PAGER,
        LineType.PERSONAL_NUMBER,  # forwards at the sender's cost (+44 70), and so is made for inflating traffic
        LineType.UAN,
        LineType.VOICEMAIL,
        LineType.SATELLITE,
        LineType.INTERNATIONAL_NETWORK,
    }
)
"""Line types that can't receive an SMS, or only at a price that invites fraud."""

NEVER_OPENED = frozenset(
    {
        LineType.PREMIUM_RATE,
        LineType.SHARED_COST,
        LineType.PERSONAL_NUMBER,
        LineType.SATELLITE,
        LineType.INTERNATIONAL_NETWORK,
    }
)
"""Of these, those by which money is made: no list opens them. Of the rest a team may own a line that takes SMS."""

MAX_SPELLING = 64
"""Characters; E.164 allows 15 digits, the rest is room for blanks and dashes."""

# ITU-T E.164 shared country codes: 870 Inmarsat, 881 global mobile satellite, 882 and 883 international networks.
_NETWORKS = {
    870: LineType.SATELLITE,
    881: LineType.SATELLITE,
    882: LineType.INTERNATIONAL_NETWORK,
    883: LineType.INTERNATIONAL_NETWORK,
}
_PLAIN = re.compile(r"\+?[0-9]+")
# Blanks (Zs) and dashes (Pd) of every kind are punctuation by category; these look like them, but are not in there.
_PUNCTUATION = frozenset("().\u2212\u2043\u02d7\u30fc")
# Mexico dropped the 1 of mobile numbers, and the 01, 044 and 045 before it, in 2019; people still write them.
_MEXICO = re.compile(r"(?:1|01|044|045)([2-9][0-9]{9})")
# Two spellings of one handset that the numbering plan's metadata both calls valid: the old one is refused.
_SUPERSEDED = {
    55: (re.compile(r"[1-9]{2}[6-9][0-9]{7}"), "Write a Brazilian mobile number with its ninth digit."),
    241: (re.compile(r"[0-9]{7}"), "Write a Gabonese number with all of its eight digits."),
}

_OWN_RULES = frozenset({52, *_NETWORKS, *_SUPERSEDED})
"""Countries of which we know better than the plans."""

_ONE_NUMBER = (
    "Write one phone number: digits, a leading + and country code, blanks, dashes, dots or parentheses; "
    "no letters, no extension, no second number."
)
_NEEDS_COUNTRY = "Write the number with + and its country code."
_NO_SUCH = "No such number is in use in its country: check the country code and every digit."


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """One phone number in use. Equal numbers are equal recipients; `repr` and `mask` are safe to log."""

    e164: str
    country_code: int
    region: str
    """ISO 3166-1 alpha-2; "001" for a number of no country."""
    national: str
    """The national significant digits, an Italian leading 0 included."""
    line_type: LineType

    @property
    def prefix(self) -> str:
        """E.164 less the last 4 digits: what the neighbours of this number share."""
        return self.e164[:-4]

    @property
    def mask(self) -> str:
        """`+86138****8000`: at most 3 leading and 4 last digits; a short number shows fewer, but hides at least 4."""
        hidden_least = 4
        shown = max(0, len(self.national) - hidden_least)
        last = min(4, shown)
        leading = min(3, shown - last)
        stars = "*" * max(hidden_least, len(self.national) - leading - last)
        return f"+{self.country_code}{self.national[:leading]}{stars}{self.national[len(self.national) - last :]}"

    def __repr__(self) -> str:
        return f"Recipient({self.mask})"


def parse(raw: str, default_region: str) -> Recipient:
    """The recipient that `raw` spells.

    `default_region` (ISO 3166-1 alpha-2) reads numbers without a country code; "" means that only international forms
    (`+…`, `00…`) are taken. Digits: NFKC first (full-width, mathematical, superscript), then any Unicode decimal digit
    counts as its value, so an Arabic or Devanagari keyboard works. Invisible format characters (zero-width, bidi),
    blanks and punctuation are dropped; `tel:` may lead. Everything else is refused.

    Raises `InvalidRecipient`; its detail never repeats the number.
    """
    dialled = _dialled(raw)
    plain = plain_mobile(dialled, default_region)
    if plain and plain.country_code not in _OWN_RULES:
        return Recipient(
            f"+{plain.country_code}{plain.national}", plain.country_code, plain.region, plain.national, LineType.MOBILE
        )
    return _long_way(dialled, default_region)


def _long_way(dialled: str, default_region: str) -> Recipient:
    if not default_region:
        if dialled.startswith("00"):
            dialled = f"+{dialled[2:]}"
        if not dialled.startswith("+"):
            raise InvalidRecipient(_NEEDS_COUNTRY)
    return _in_use(_read(dialled, default_region))


def _dialled(raw: str) -> str:
    """`raw` as ASCII digits with at most one + in front."""
    if len(raw) > MAX_SPELLING:
        raise InvalidRecipient(f"A phone number has at most {MAX_SPELLING} characters, blanks and dashes included.")
    if _PLAIN.fullmatch(raw):
        return raw
    folded = unicodedata.normalize("NFKC", "".join(char for char in raw if unicodedata.category(char) != "Cf"))
    folded = folded.strip(" ")
    if folded[:4].lower() == "tel:":
        folded = folded[4:]
    dialled = "".join(_folded_char(char) for char in folded)
    if not dialled:
        raise InvalidRecipient("Give a phone number.")
    if not _PLAIN.fullmatch(dialled):
        raise InvalidRecipient(_ONE_NUMBER)
    return dialled


def _folded_char(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category in {"Zs", "Pd"} or char in _PUNCTUATION:
        return ""
    return char


def _read(dialled: str, default_region: str) -> PhoneNumber:
    known = plans()
    try:
        number = known.parse(dialled, default_region or None)
        if number.country_code == 52 and (old := _MEXICO.fullmatch(_significant(number))):
            number = known.parse(f"+52{old[1]}")
    except known.NumberParseException as error:
        unreadable = error.error_type == known.NumberParseException.INVALID_COUNTRY_CODE
        raise InvalidRecipient(_NEEDS_COUNTRY if unreadable else _NO_SUCH) from error
    return cast("PhoneNumber", number)


def _in_use(number: PhoneNumber) -> Recipient:
    known = plans()
    country_code, national = number.country_code, _significant(number)
    region, kind = known.region_code_for_number(number), known.number_type(number)
    if country_code is None or region is None or kind == known.PhoneNumberType.UNKNOWN:
        raise InvalidRecipient(_NO_SUCH)
    if country_code in _SUPERSEDED:
        old_form, mend = _SUPERSEDED[country_code]
        if old_form.fullmatch(national):
            raise InvalidRecipient(mend)
    line_type = _NETWORKS.get(country_code) or LineType(known.PhoneNumberType.to_string(kind).lower())
    return Recipient(f"+{country_code}{national}", country_code, region, national, line_type)


def _significant(number: PhoneNumber) -> str:
    return str(plans().national_significant_number(number))


def regions() -> frozenset[str]:
    """ISO 3166 regions whose numbers can be read."""
    return frozenset(plans().SUPPORTED_REGIONS)
