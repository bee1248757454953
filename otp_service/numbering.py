"""Numbering plans, as phonenumbers knows them; and a short way for what is plainly a mobile number.

To read one number phonenumbers folds and matches it some sixty times, which costs as much as all that a check costs.
Most numbers that a code goes to are spelt as their plan spells them: there nothing is to be folded or stripped.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple


class Plain(NamedTuple):
    """A mobile number that was spelt plainly."""

    country_code: int
    region: str
    national: str


@cache
def plans() -> Any:
    """phonenumbers. Imported on first use: it takes longer than the rest of the command line's start."""
    import phonenumbers

    return phonenumbers


def plain_mobile(dialled: str, default_region: str) -> Plain | None:
    """The number that `dialled` (digits, at most a + in front) spells, where it is a mobile number and nothing else.

    None says nothing: the number is then to be read the long way, which gives the same wherever this gives something.
    """
    if dialled[:1] != "+":
        plan = _plan_of(default_region)
        if plan is None or plan.abroad.match(dialled):
            return None
        national = dialled
    else:
        # ITU-T E.164: no country code is the beginning of another.
        plan = _plan(dialled[1:2]) or _plan(dialled[1:3]) or _plan(dialled[1:4])
        if plan is None:
            return None
        national = dialled[1 + len(plan.code) :]
    if len(national) in plan.lengths and plan.mobile.fullmatch(national) and not plan.other.match(national):
        return Plain(int(plan.code), plan.region, national)
    return None


class _Plan(NamedTuple):
    code: str
    region: str
    lengths: frozenset[int]
    mobile: re.Pattern[str]
    """Whole mobile numbers."""
    other: re.Pattern[str]
    """What may be anything else as well: another type, or digits of which the first are to be stripped."""
    abroad: re.Pattern[str]
    """What, without a +, may begin with a country code."""


@cache
def _plan(code: str) -> _Plan | None:
    """Of a country code that one region has for itself, and whose mobile numbers stand apart from its other ones."""
    regions = plans().COUNTRY_CODE_TO_REGION_CODE.get(int(code or 0), ())
    return _read(code, regions[0]) if len(regions) == 1 and regions[0].isalpha() else None


@cache
def _plan_of(region: str) -> _Plan | None:
    plan = _plan(str(plans().country_code_for_region(region)))
    return plan if plan and plan.region == region else None


def _read(code: str, region: str) -> _Plan | None:
    known = plans().PhoneMetadata.metadata_for_region(region, None)
    if known.mobile is None or not known.mobile.national_number_pattern or known.same_mobile_and_fixed_line_pattern:
        return None
    others = (
        known.premium_rate,
        known.toll_free,
        known.shared_cost,
        known.voip,
        known.personal_number,
        known.pager,
        known.uan,
        known.voicemail,
        known.fixed_line,
    )
    whole = [f"(?:{one.national_number_pattern})$" for one in others if one and one.national_number_pattern]
    # A leading 0 is kept in some countries and dropped in others.
    begun = ["0", *filter(None, [known.national_prefix_for_parsing])]
    return _Plan(
        code,
        region,
        frozenset(known.mobile.possible_length or known.general_desc.possible_length),
        re.compile(f"(?={known.general_desc.national_number_pattern}$)(?:{known.mobile.national_number_pattern})"),
        re.compile("|".join([*whole, *(f"(?:{one})" for one in begun)])),
        re.compile("|".join([code, *(f"(?:{one})" for one in filter(None, [known.international_prefix]))])),
    )
