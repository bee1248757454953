"""The short way to a mobile number says what the long way says, wherever it says anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import phonenumbers
import pytest

from otp_service import recipient
from otp_service.errors import InvalidRecipient
from otp_service.numbering import plain_mobile

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = phonenumbers.PhoneNumberType


def spellings(region: str, draws: random.Random, count: int) -> Iterator[str]:
    """Near to numbers of this region, of every type: some digits drawn anew, one more or less, a prefix before them."""
    code = str(phonenumbers.country_code_for_region(region))
    known = [phonenumbers.example_number_for_type(region, kind) for kind in KINDS.values()]
    examples = [phonenumbers.national_significant_number(number) for number in known if number] or ["13800138000"]
    for _ in range(count):
        national = draws.choice(examples)
        kept = draws.randrange(len(national) + 1)
        national = national[:kept] + "".join(draws.choice("0123456789") for _ in national[kept:])
        national = draws.choice([national, national, national, national[:-1], national + draws.choice("0123456789")])
        yield draws.choice([f"+{code}", f"+{code}", "", "", "0", "00", f"00{code}", code, f"+{code}0"]) + national


def said_by(way: Callable[[str, str], recipient.Recipient], dialled: str, region: str) -> recipient.Recipient | str:
    try:
        return way(dialled, region)
    except InvalidRecipient as refused:
        return str(refused)


def agree(count: int) -> int:
    """How many of the spellings the short way was good for."""
    draws, short = random.Random(1), 0
    for region in REGIONS:
        for dialled in spellings(region, draws, count):
            for default in (region, "", "CN"):
                if plain_mobile(dialled, default) is None:
                    continue
                short += 1
                short_way, long_way = (said_by(way, dialled, default) for way in (recipient.parse, recipient._long_way))
                assert short_way == long_way, (dialled, default)
    return short


def test_the_short_way_agrees_with_the_long_way_in_every_region() -> None:
    assert agree(8) > 100


@pytest.mark.slow
def test_the_short_way_agrees_with_the_long_way_over_many_numbers() -> None:
    assert agree(1000) > 20_000


@pytest.mark.parametrize(
    ("dialled", "region"),
    [("13800138000", "CN"), ("+8613800138000", ""), ("+4915123456789", "CN"), ("+919876543210", "")],
)
def test_plain_mobile_numbers_take_the_short_way(dialled: str, region: str) -> None:
    assert plain_mobile(dialled, region)


@pytest.mark.parametrize(
    ("dialled", "region"),
    [
        ("+12025550123", ""),  # of which +1 nobody says whether it is a mobile
        ("02012345678", "GB"),
        ("008613800138000", "US"),
        ("+8610", ""),
        ("+", ""),
        ("+999123456789", "CN"),
        ("13800138000", ""),
        ("13800138000", "XX"),
    ],
)
def test_what_is_not_plain_is_left_to_the_long_way(dialled: str, region: str) -> None:
    assert plain_mobile(dialled, region) is None
