"""Locales: which of the texts at hand a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
# RFC 5646 §4.4.1: a tag needs no more than 35 characters.
_LONGEST_TAG = 35
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})


def valid_locale(locale: str) -> bool:
    """True for a well-formed BCP 47 tag (`zh-CN`, `en`, `pt-BR`); whether anyone speaks it is not asked."""
    return len(locale) <= _LONGEST_TAG and _TAG.fullmatch(locale) is not None


def pick_locale(wanted: str | None, available: Iterable[str], default: str) -> str:
    """The one of `available` to use for `wanted`; `default` when none fits. Letter case is ignored.

    In this order (RFC 4647 §3.4, lookup, then one step more): the tag itself; the tag shortened from the right; Chinese
    by script, where Hant, Taiwan, Hong Kong and Macao read zh-TW and all others zh-CN; the alphabetically first of the
    same language.
    """
    if wanted is None:
        return default
    by_tag = {tag.lower(): tag for tag in sorted(available)}
    subtags = wanted.lower().split("-")
    for length in range(len(subtags), 0, -1):
        if found := by_tag.get("-".join(subtags[:length])):
            return found
    if subtags[0] == "zh" and (found := by_tag.get(_chinese(subtags))):
        return found
    return next((tag for key, tag in by_tag.items() if key.startswith(f"{subtags[0]}-")), default)


def _chinese(subtags: list[str]) -> str:
    traditional = "hans" not in subtags and _TRADITIONAL.intersection(subtags)
    return "zh-tw" if traditional else "zh-cn"
