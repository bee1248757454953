"""What is said about each problem, in every language that we speak, with an example of the answer."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from otp_service.errors import (
    ChallengeRequired,
    CodeMismatch,
    Ended,
    FieldError,
    InvalidRecipient,
    InvalidRequest,
    Problem,
)
from otp_service.verification import Delivery, Status, Verification
from otp_service.web.problems import BY_NAME, STATUS, ProblemJson, problem_json

LANGUAGES = ("en", "zh-CN")

_EXAMPLE_NOW = 1772353800000  # 2026-03-01T08:30:00Z
_ENDS = {"already_approved": Status.APPROVED} | {
    s.value: s for s in (Status.EXHAUSTED, Status.EXPIRED, Status.CANCELED)
}


@dataclass(frozen=True, slots=True)
class ProblemText:
    title: str
    when: str
    person: str
    """What to tell the person."""
    code: str
    """What the calling program does."""


@dataclass(frozen=True, slots=True)
class ProblemDoc:
    name: str
    status: int
    texts: Mapping[str, ProblemText]
    """By language, each of `LANGUAGES`."""
    example: ProblemJson


@cache
def problem_docs() -> Mapping[str, ProblemDoc]:
    """By name, in the order of the table of statuses."""
    written = tomllib.loads(files("otp_service.web").joinpath("problem_texts.toml").read_text("utf-8"))
    return {problem.name: _doc(problem, written[problem.name]) for problem in STATUS}


def example_verification(status: Status = Status.PENDING, attempts_left: int = 5) -> Verification:
    """One verification that every example tells of."""
    return Verification(
        id="ver_1rk2BLOIFpu30at2PZwrXxitP2xYCPuZcO",
        status=status,
        delivery=Delivery.ACCEPTED,
        to="+86138****8000",
        purpose="login",
        now=_EXAMPLE_NOW + 18_000,
        created_at=_EXAMPLE_NOW,
        expires_at=_EXAMPLE_NOW + 300_000,
        resend_at=_EXAMPLE_NOW + 60_000,
        code_length=6,
        attempts_left=attempts_left,
        sends=1,
        max_sends=4,
    )


def _doc(problem: type[Problem], written: Mapping[str, Any]) -> ProblemDoc:
    texts = {language: ProblemText(**{"title": problem.title, **written[language]}) for language in LANGUAGES}
    return ProblemDoc(problem.name, STATUS[problem], texts, problem_json(_example(problem, written)))


def _example(problem: type[Problem], written: Mapping[str, Any]) -> Problem:
    detail: str = written["detail"]
    if issubclass(problem, InvalidRecipient):
        return problem(detail)
    if issubclass(problem, InvalidRequest):
        return problem(detail, errors=[FieldError("/purpose", "is required")])
    if issubclass(problem, CodeMismatch):
        return problem(detail, verification=example_verification(attempts_left=4))
    if issubclass(problem, ChallengeRequired):
        return problem(detail, reason="client", verifier="turnstile", site_key="0x4AAAAAAAEXAMPLE")
    if issubclass(problem, Ended):
        left = 0 if problem.name == "exhausted" else 5
        return problem(detail, verification=example_verification(_ENDS[problem.name], left))
    return BY_NAME[problem.name](detail, limit=written.get("limit"), retry_after=written.get("retry_after"))
