"""One number has many spellings and one recipient."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.errors import InvalidRecipient
from otp_service.pumping import prefix_mask
from otp_service.recipient import NEVER_SENT, LineType, Recipient, parse

E164 = "+8613800138000"
NATIONAL = "13800138000"

DIGIT_ZEROS = (
    "0",
    "\uff10",  # full-width
    "\u0660",  # Arabic-Indic
    "\u06f0",  # Persian
    "\u0966",  # Devanagari
    "\U0001d7ce",  # mathematical bold
    "\U0001d7f6",  # mathematical monospace
)
FORMAT_CHARACTERS = ("\u200b", "\u200f", "\u202a", "\u202c", "\ufeff", "\u00ad")
DASHES = ("-", "\u2010", "\u2011", "\u2013", "\u2014", "\u2212", "\uff0d", "\u30fc")
BRACKETS_AND_DOTS = ("(", ")", "\uff08", "\uff09", ".", "\uff0e")
FILLERS = ("", "", "", " ", "\u00a0", "\u3000", *FORMAT_CHARACTERS, *DASHES, *BRACKETS_AND_DOTS)
BLANKS = ("", " ", "\u00a0", "\u200e", "\u202a", "\u3000")
SCHEMES = ("", "tel:", "TEL:", "Tel: ")
LEADS = ("", "0", "86", "+86", "\uff0b86", "0086", "+86 0", "17951")


def spelt(pick: Callable[[Sequence[str]], str]) -> str:
    """One spelling of the number, at most 64 characters long, with every choice made by `pick`."""
    dialled = pick(LEADS) + NATIONAL
    digits = (chr(ord(pick(DIGIT_ZEROS)) + int(char)) if char.isdigit() else char for char in dialled)
    return pick(BLANKS) + pick(SCHEMES) + "".join(digit + pick(FILLERS) for digit in digits)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_spelling_of_a_number_is_one_recipient(data: st.DataObject) -> None:
    """T43: blanks, dashes, digits of any script, prefixes and tel: all come to the same E.164."""
    assert parse(spelt(lambda choices: data.draw(st.sampled_from(choices))), "CN").e164 == E164


@pytest.mark.slow
def test_a_million_spellings_are_one_recipient() -> None:
    """T43, full size."""
    pick = random.Random(43).choice
    assert {parse(spelt(pick), "CN").e164 for _ in range(1_000_000)} == {E164}


def read(raw: str, region: str) -> Recipient | str:
    """The recipient, or the words of the refusal."""
    try:
        return parse(raw, region)
    except InvalidRecipient as refusal:
        return refusal.detail


ANY_TEXT = st.text(max_size=80) | st.text("+0123456789 -().x,;#*\u0661\u200b", max_size=30)


@settings(max_examples=500, deadline=None)
@given(ANY_TEXT, st.sampled_from(["CN", "US", ""]))
def test_any_text_is_a_stable_recipient_or_refused_without_an_echo(raw: str, region: str) -> None:
    """Whatever comes in, the result reads back as itself, and a refusal holds no digit but those of the size limit."""
    match read(raw, region):
        case Recipient() as recipient:
            assert parse(recipient.e164, "") == recipient
        case str() as detail:
            assert not any(char.isdigit() for char in detail.replace("64", ""))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "+",
        "tel:",
        "13800138000x123",
        "13800138000 ext. 12",
        "13800138000,123",
        "13800138000#1",
        "tel:+8613800138000;ext=12",
        "tel:13800138000;phone-context=+86",
        "tel:tel:13800138000",
        "1-800-FLOWERS",
        "13800138000,13800138001",
        "13800138000/13800138001",
        "13800138000 13800138001",
        "13800138000\n",
        "13800\n138000",
        "13800138000\r\n13800138001",
        "13800\t138000",
        "13800138000\x00",
        "\x0013800138000",
        "13800\u2028138000",
        "13800138000\ud800",
        "++8613800138000",
        "86+13800138000",
        "+86 86 13800138000",
        "1380013800",
        "138001380000",
        "1380013800O",
        "+8613800138000" + " " * 51,
        "0" * 10_000,
        "*138#13800138000",
        "sip:13800138000@example.com",
        "1\ufe0f\u20e33800138000",
        "-13800138000.0e1",
    ],
)
def test_what_is_not_exactly_one_number_is_refused(raw: str) -> None:
    """T43: extensions, letters, second numbers, control characters and oversize are never guessed at."""
    with pytest.raises(InvalidRecipient) as refusal:
        parse(raw, "CN")
    assert refusal.value.errors[0].pointer == "/to"
    assert NATIONAL not in str(refusal.value)


@pytest.mark.parametrize("raw", ["13800138000", "8613800138000", "013800138000", "2025550123"])
def test_without_a_default_region_only_international_forms_are_taken(raw: str) -> None:
    with pytest.raises(InvalidRecipient, match="country code"):
        parse(raw, "")


@pytest.mark.parametrize(
    "raw", ["+86 138 0013 8000", "008613800138000", "00 86 138-0013-8000", "tel:+86-138-0013-8000"]
)
def test_without_a_default_region_an_international_form_is_read(raw: str) -> None:
    assert parse(raw, "").e164 == E164


# Region, E.164, other forms in which people of that country write it.
COUNTRIES = [
    ("AR", "+5491123456789", ["011 15 2345-6789", "+54 11 15 2345 6789", "+54 (0)11 15 2345-6789", "0 9 11 2345 6789"]),
    ("AT", "+436641234567", ["0664 1234567", "+43 (0)664 1234567", "0043 664 1234567"]),
    ("AU", "+61412345678", ["0412 345 678", "+61 (0)412 345 678", "0011 61 412 345 678"]),
    ("BE", "+32470123456", ["0470 12 34 56", "+32 (0)470 12 34 56"]),
    ("BR", "+5511987654321", ["(11) 98765-4321", "0 15 11 98765-4321", "+55 (11) 98765-4321"]),
    ("CA", "+15062345678", ["506-234-5678", "1 (506) 234-5678", "011 1 506 234 5678"]),
    ("CH", "+41781234567", ["078 123 45 67", "+41 (0)78 123 45 67"]),
    ("CI", "+2250701234567", ["07 01 23 45 67", "00225 07 01 23 45 67"]),
    ("CN", "+8613800138000", ["138 0013 8000", "0138-0013-8000", "86 13800138000", "17951 13800138000"]),
    ("DE", "+4915123456789", ["0151 23456789", "+49 (0)151 23456789", "01512-345 67 89"]),
    ("DK", "+4520123456", ["20 12 34 56", "0045 20123456"]),
    ("EG", "+201001234567", ["0100 123 4567", "+20 (0)100 123 4567"]),
    ("ES", "+34612345678", ["612 34 56 78", "0034 612345678"]),
    ("FR", "+33612345678", ["06 12 34 56 78", "+33 (0)6 12 34 56 78"]),
    ("GB", "+447400123456", ["07400 123456", "+44 (0)7400 123456", "0044 (0) 7400-123456"]),
    ("HK", "+85251234567", ["5123 4567", "001 852 5123 4567"]),
    ("HU", "+36201234567", ["06 20 123 4567", "+36 (06) 20 123 4567"]),
    ("ID", "+62812345678", ["0812-345-678", "+62 (0)812 345 678"]),
    ("IE", "+353850123456", ["085 012 3456", "+353 (0)85 012 3456"]),
    ("IL", "+972502345678", ["050-234-5678", "+972 (0)50 234 5678"]),
    ("IN", "+919876543210", ["098765 43210", "+91-98765-43210", "0091 98765 43210"]),
    ("IT", "+393351234567", ["335 123 4567", "0039 335 1234567"]),
    ("JP", "+819012345678", ["090-1234-5678", "+81 (0)90 1234 5678", "090ー1234ー5678", "010 81 90 1234 5678"]),
    ("KR", "+821012345678", ["010-1234-5678", "+82 (0)10 1234 5678"]),
    ("KZ", "+77001234567", ["8 700 123 45 67", "+7 (700) 123-45-67"]),
    ("LT", "+37061234567", ["8 612 34567", "+370 612 34567", "0 612 34567"]),
    (
        "MX",
        "+525512345678",
        ["55 1234 5678", "+52 1 55 1234 5678", "044 55 1234 5678", "045 55 1234 5678", "01 55 1234 5678"],
    ),
    ("MY", "+60123456789", ["012-345 6789", "+60 (0)12 345 6789"]),
    ("NG", "+2348031234567", ["0803 123 4567", "+234 (0)803 123 4567"]),
    ("NL", "+31612345678", ["06 12345678", "+31 (0)6 12345678"]),
    ("NZ", "+64211234567", ["021 123 4567", "+64 (0)21 123 4567"]),
    ("PH", "+639051234567", ["0905 123 4567", "+63 (0)905 123 4567"]),
    ("PL", "+48512345678", ["512 345 678", "0048 512 345 678"]),
    ("RU", "+79161234567", ["8 (916) 123-45-67", "+7 916 123 45 67", "8 10 7 916 123 45 67"]),
    ("SE", "+46701234567", ["070-123 45 67", "+46 (0)70 123 45 67"]),
    ("SG", "+6581234567", ["8123 4567", "001 65 8123 4567"]),
    ("TR", "+905012345678", ["0501 234 56 78", "+90 (0)501 234 56 78"]),
    ("TW", "+886912345678", ["0912-345-678", "+886 (0)912 345 678"]),
    ("UA", "+380501234567", ["050 123 45 67", "+38 (050) 123-45-67"]),
    ("US", "+12025550123", ["(202) 555-0123", "1-202-555-0123", "202.555.0123", "011 1 202 555 0123"]),
    ("VN", "+84912345678", ["091 234 56 78", "+84 (0)91 234 56 78"]),
    ("ZA", "+27711234567", ["071 123 4567", "+27 (0)71 123 4567"]),
]


@pytest.mark.parametrize(("region", "e164", "forms"), COUNTRIES, ids=[country[0] for country in COUNTRIES])
def test_the_forms_of_a_country_come_to_one_number(region: str, e164: str, forms: list[str]) -> None:
    """T44: trunk prefixes, carrier prefixes and superseded forms have one canonical form."""
    assert {parse(form, region).e164 for form in [e164, *forms]} == {e164}


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+55 11 8765-4321", "BR"),  # a mobile before the ninth digit
        ("+55 11 7876-5432", "BR"),  # the same in a range that the metadata still calls valid
        ("15 2345-6789", "AR"),  # a mobile without its area code
        ("+54 9 11 15 2345 6789", "AR"),  # both mobile marks at once
        ("+39 0335 1234567", "IT"),  # a mobile with the 0 of before 2001
        ("+39 6 1234 5678", "IT"),  # a fixed line without its 0
        ("+241 6 03 12 34", "GA"),
        ("+225 07 01 23 45", "CI"),  # eight digits, before 2021
        ("+229 97 12 34 56", "BJ"),  # eight digits, before 2024
        ("0122 512 3456", "VN"),  # eleven digits, before 2018
    ],
)
def test_a_superseded_form_that_is_ambiguous_is_refused(raw: str, region: str) -> None:
    """T44: where the old form can't be rewritten for certain it is refused, never taken as a second number."""
    with pytest.raises(InvalidRecipient):
        parse(raw, region)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_writes_its_example_numbers_in_one_way(region: str) -> None:
    """T44: national, international and RFC 3966 forms of a region's example numbers are one recipient."""
    formats = phonenumbers.PhoneNumberFormat
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        if example := phonenumbers.example_number_for_type(region, kind):
            forms = (formats.E164, formats.NATIONAL, formats.INTERNATIONAL, formats.RFC3966)
            recipients = {parse(phonenumbers.format_number(example, form), region) for form in forms}
            assert {recipient.e164 for recipient in recipients} == {phonenumbers.format_number(example, formats.E164)}


@pytest.mark.parametrize(
    ("raw", "line_type"),
    [
        ("+449012345678", LineType.PREMIUM_RATE),
        ("+19002345678", LineType.PREMIUM_RATE),
        ("+979123456789", LineType.PREMIUM_RATE),
        ("+864001234567", LineType.SHARED_COST),
        ("+448001234567", LineType.TOLL_FREE),
        ("+80012345678", LineType.TOLL_FREE),
        ("+447640123456", LineType.PAGER),
        ("+447012345678", LineType.PERSONAL_NUMBER),
        ("+861064001234", LineType.FIXED_LINE),
        ("+442079460958", LineType.FIXED_LINE),
        ("+88812345678901", LineType.UAN),
        ("+881612345678", LineType.SATELLITE),
        ("+870301234567", LineType.SATELLITE),
        ("+88213300655", LineType.INTERNATIONAL_NETWORK),
        ("+883510012345", LineType.INTERNATIONAL_NETWORK),
    ],
)
def test_a_line_that_takes_no_sms_is_known_as_such(raw: str, line_type: LineType) -> None:
    """T45: premium, shared-cost, toll-free, pager, fixed and satellite lines are told apart and never sent to."""
    assert parse(raw, "").line_type is line_type
    assert line_type in NEVER_SENT


@pytest.mark.parametrize(
    ("raw", "line_type"),
    [
        (E164, LineType.MOBILE),
        ("+12025550123", LineType.FIXED_LINE_OR_MOBILE),
        ("+447400123456", LineType.MOBILE),
        ("+445612345678", LineType.VOIP),
    ],
)
def test_a_line_that_may_take_an_sms_is_not_among_the_never_sent(raw: str, line_type: LineType) -> None:
    assert parse(raw, "").line_type is line_type
    assert line_type not in NEVER_SENT


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("110", "CN"),
        ("12306", "CN"),
        ("10086", "CN"),
        ("+86 110", ""),
        ("911", "US"),
        ("112", "DE"),
        ("999", "GB"),
        ("+44 999", ""),
        ("+8610000000000", ""),
        ("+1 555 0123", ""),
        ("+999123456789", ""),
        ("+210123456789", ""),
        ("+10000000000", ""),
    ],
)
def test_short_emergency_and_unallocated_numbers_are_refused(raw: str, region: str) -> None:
    """T45: what no numbering plan hands out to a subscriber never becomes a recipient."""
    with pytest.raises(InvalidRecipient):
        parse(raw, region)


@pytest.mark.parametrize(
    ("raw", "mask"),
    [
        (E164, "+86138****8000"),
        ("+12025550123", "+120****0123"),
        ("+4915123456789", "+49151****6789"),
        ("+6581234567", "+65****4567"),
        ("+4790123456", "+47****3456"),
        ("+50688887777", "+506****7777"),
        ("+29051234", "+290****4"),
    ],
)
def test_the_mask_hides_four_digits_at_least(raw: str, mask: str) -> None:
    assert parse(raw, "").mask == mask


def test_neither_repr_nor_str_shows_the_number() -> None:
    recipient = parse(E164, "")
    assert repr(recipient) == str(recipient) == "Recipient(+86138****8000)"


def test_a_recipient_knows_its_parts() -> None:
    assert parse(NATIONAL, "CN") == Recipient(E164, 86, "CN", NATIONAL, LineType.MOBILE)
    assert parse(E164, "").prefix == "+861380013"


@pytest.mark.parametrize("prefix", ["+861380013", "+44740012", "+1202555", "+29051", "+390612345", "+6834"])
def test_neighbours_have_one_mask_of_their_prefix(prefix: str) -> None:
    """It is sealed under the name of the prefix, and a place must have one text for good."""
    numbers = [phonenumbers.parse(f"{prefix}{last:04d}") for last in range(0, 10_000, 7)]
    parts = [(number.country_code or 0, phonenumbers.national_significant_number(number)) for number in numbers]
    assert {code for code, _ in parts} == {parts[0][0]}
    masks = {
        prefix_mask(Recipient(f"+{code}{national}", code, "ZZ", national, LineType.MOBILE)) for code, national in parts
    }
    assert len(masks) == 1


def test_a_number_of_no_country_has_region_001() -> None:
    assert parse("+870301234567", "").region == "001"


def test_an_unknown_default_region_still_reads_international_forms() -> None:
    assert parse(E164, "ZZ").region == "CN"
    with pytest.raises(InvalidRecipient, match="country code"):
        parse(NATIONAL, "ZZ")
