"""Parts are counted as carriers bill them."""

from __future__ import annotations

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.sms_parts import Parts, count_parts

GSM = "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà" + "^{}\\[~]|€"
WIDE = GSM + "验证码是，。【】çêの인증😀🀄"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", Parts("GSM-7", 0, 1)),
        ("a" * 160, Parts("GSM-7", 160, 1)),
        ("a" * 161, Parts("GSM-7", 161, 2)),
        ("a" * 306, Parts("GSM-7", 306, 2)),
        ("a" * 307, Parts("GSM-7", 307, 3)),
        ("€" * 80, Parts("GSM-7", 160, 1)),
        ("字" * 70, Parts("UCS-2", 70, 1)),
        ("字" * 71, Parts("UCS-2", 71, 2)),
        ("字" * 134, Parts("UCS-2", 134, 2)),
        ("字" * 135, Parts("UCS-2", 135, 3)),
        ("😀" * 35, Parts("UCS-2", 70, 1)),
        ("ç", Parts("UCS-2", 1, 1)),
    ],
)
def test_a_text_is_billed_at_the_documented_edges(text: str, parts: Parts) -> None:
    assert count_parts(text) == parts


def test_an_escape_pair_is_not_split_between_two_parts() -> None:
    """306 septets would fill two parts exactly, but the € at 153 moves to the second and pushes one letter out."""
    assert count_parts("a" * 152 + "€" + "a" * 152) == Parts("GSM-7", 306, 3)


def test_a_surrogate_pair_is_not_split_between_two_parts() -> None:
    """134 units would fill two parts exactly, but the emoji at 67 moves to the second."""
    assert count_parts("字" * 66 + "😀" + "字" * 66) == Parts("UCS-2", 134, 3)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(GSM, min_size=1, max_size=500), st.text(WIDE, min_size=1, max_size=300)))
def test_the_count_is_that_of_an_independent_implementation(text: str) -> None:
    """T47: computed parts are those of smsutil over a thousand texts."""
    oracle = smsutil.split(text)
    assert count_parts(text).parts == len(oracle.parts)
    assert count_parts(text).encoding == {"gsm0338": "GSM-7", "utf_16_be": "UCS-2"}[oracle.encoding]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_at_all_is_counted_as_smsutil_does(text: str) -> None:
    assert count_parts(text).parts == len(smsutil.split(text).parts)
