"""What several nodes are asked at once, when one of them does not answer."""

from __future__ import annotations

import asyncio

import pytest

from otp_service.ports import StoreDown
from otp_service.store.groups import each


async def said(answer: int | Exception) -> int:
    if isinstance(answer, Exception):
        raise answer
    return answer


def ask(*answers: int | Exception) -> list[int]:
    async def run() -> list[int]:
        return await each(said(answer) for answer in answers)

    return asyncio.run(run())


def test_what_the_others_gave_is_kept() -> None:
    assert ask(1, StoreDown("lost"), 3) == [1, 3]


def test_where_nobody_answers_it_is_said() -> None:
    with pytest.raises(StoreDown, match="first"):
        ask(StoreDown("first"), StoreDown("second"))


def test_a_fault_of_ours_is_never_passed_over() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(1, ZeroDivisionError(), StoreDown("lost"))


def test_nothing_asked_is_nothing_answered() -> None:
    assert ask() == []
