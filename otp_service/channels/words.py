"""A gateway's own words, made fit to be kept: short, on one line, and without numbers, codes or secrets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_WORDS = 200
_STARS = "****"
# Four digits or more, also when single blanks or hyphens part them (138-0013-8000).
_DIGITS = re.compile(r"\d(?:[ \-]?\d){3,}")


def gateway_words(text: str, hide: Iterable[str] = ()) -> str:
    """At most 200 characters. `hide` are values that we sent and that must not come back into a record."""
    for secret in hide:
        if secret:
            text = text.replace(secret, _STARS)
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return _DIGITS.sub(_STARS, " ".join(visible.split()))[:MAX_WORDS]
