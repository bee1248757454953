"""From a gateway's answer to an outcome. Success needs positive evidence; what nobody can read is `unknown`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from otp_service.channels.http import MAX_ANSWER, HttpAnswer
from otp_service.channels.http_outcomes import CONFIG, UNKNOWN, Rule, by_status, refused, succeeded
from otp_service.channels.sms_aspx import rules
from otp_service.channels.sms_aspx.leaves import (
    IDS,
    NESTED,
    STATUS,
    WORDS,
    Leaves,
    UnreadableError,
    bare_id,
    read_leaves,
)
from otp_service.channels.words import gateway_words
from otp_service.ports import Outcome, TryResult

_CODE = re.compile(r"[0-9]{5}|0000")
_COUNT = re.compile(r"(-?[0-9]{1,9})(\.0+)?")
_SOME = re.compile(r"(?<!-)(?!0)\d")
"""In a count that is no number, as `1条`: a digit that speaks for a message, where 0 and -1 do not."""
# 6 to 19 digits, hex or a UUID; some say 0, -1 or a nil UUID where there is none, or repeat the field's name.
_TASK_ID = re.compile(r"(?=.*[1-9])[0-9A-Za-z][0-9A-Za-z-]{0,63}|(?=.*[A-Fa-f])[0-9A-Fa-f]{8,64}")
_EVIDENCE = (*IDS, "successcounts")
_PREFIXES = ("", "0", "86", "086", "0086")
"""Before our number, where an answer names it."""
_ASKED = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, and whether the same request with a fresh timestamp may do better: then nothing was sent."""

    result: TryResult
    stale: bool = False


@dataclass(frozen=True, slots=True)
class _Finding:
    """What an answer, or one part of it, says. `None` is success."""

    refusal: Rule | None
    words: str = ""
    unmapped: bool = False


_ACCEPTED = _Finding(None)


def read_answer(
    status: int, body: bytes, mobile: str, *, retry_after: float | None = None, hide: Iterable[str] = ()
) -> TryResult:
    """Never raises. `mobile`: the eleven digits that we asked for; `retry_after`: seconds, from the HTTP header;
    `hide`: values of the request that must not come back in `detail`."""
    return judge(status, body, mobile, retry_after=retry_after, hide=hide).result


def judge(
    status: int, body: bytes, mobile: str, *, retry_after: float | None = None, hide: Iterable[str] = ()
) -> Verdict:
    """As `read_answer`, and says whether to try once more with a fresh timestamp."""
    task = ""
    if not succeeded(status):
        finding = _Finding(by_status(HttpAnswer(status, body, retry_after)), f"HTTP {status}")
    elif len(body) > MAX_ANSWER:
        finding = _Finding(UNKNOWN, f"the answer is longer than {MAX_ANSWER // 1024} KiB")
    else:
        try:
            leaves = read_leaves(body)
            finding = _in_whole(_for_number(_overall(leaves), leaves, mobile), leaves)
            task = _task_id(leaves)
        except UnreadableError as error:
            finding = _Finding(UNKNOWN, str(error))
    return _verdict(finding, "" if mobile in task else task, hide)


def _verdict(finding: _Finding, task: str, hide: Iterable[str]) -> Verdict:
    words = gateway_words(finding.words, hide)
    rule = finding.refusal
    if rule is None:
        return Verdict(TryResult(Outcome.ACCEPTED, detail=words, gateway_id=task))
    return Verdict(refused(rule, words, task, unmapped=finding.unmapped), stale=rule.stale)


def _overall(leaves: Leaves) -> _Finding:
    """What the answer says of the request as a whole."""
    word, code = _status(leaves)
    words = leaves.first(WORDS)
    if word and code and (word in rules.SUCCESS_WORDS) != (code in rules.SUCCESS_CODES):
        return _Finding(UNKNOWN, f"the answer contradicts itself: {word}, {_named(code)}: {words}")
    if code:
        return _by_code(code, leaves, words)
    if word in rules.SUCCESS_WORDS:
        return _success(leaves, words)
    if word in rules.FAILURE_WORDS:
        return _failure(leaves, words)
    return _by_error(leaves, words)


def _status(leaves: Leaves) -> tuple[str, str]:
    """(word, code), each empty when the answer has none. The source of the family puts a code where a word belongs."""
    named = {leaves.values[name].lower() for name in STATUS if leaves.values.get(name)}
    codes = {found for found in named if _CODE.fullmatch(found)}
    given = leaves.values.get("respcode", "")
    if given:
        codes.add(given)
    words = named - codes
    if len(codes) > 1 or len(words) > 1:
        raise UnreadableError("the answer gives two different states")
    return "".join(words), "".join(codes)


def _by_code(code: str, leaves: Leaves, words: str) -> _Finding:
    if code in rules.SUCCESS_CODES:
        return _ok(leaves, words)
    if not _CODE.fullmatch(code):
        return _Finding(UNKNOWN, f"a respCode that no document has: {words}")
    rule = rules.RESP_CODES.get(code)
    if rule and _tempts(rule) and _was_taken(leaves):
        return _Finding(UNKNOWN, f"{_named(code)} with a count or taskID: {words}")
    return _Finding(rule or CONFIG, f"{_named(code)} {words}", unmapped=rule is None)


def _tempts(rule: Rule) -> bool:
    """Whether the same channel would be asked again."""
    return rule.stale or rule.outcome is Outcome.RETRYABLE


def _success(leaves: Leaves, words: str) -> _Finding:
    """A word of success, unless all that stands beside it is the text of a failure."""
    if _count(leaves, "successcounts") is None and not _task_id(leaves) and rules.by_message(words):
        return _Finding(UNKNOWN, f"success without count or taskID: {words}")
    return _ok(leaves, words)


def _ok(leaves: Leaves, words: str) -> _Finding:
    """Success, unless the count says that nothing was taken."""
    count = _count(leaves, "successcounts")
    if count is not None and count < _ASKED:
        return _Finding(UNKNOWN, f"success with count {max(count, 0)}: {words}")
    if leaves.salvaged and not (count or _task_id(leaves)):
        return _Finding(UNKNOWN, f"success in a damaged answer, without count or taskID: {words}")
    return _Finding(None, words)


def _failure(leaves: Leaves, words: str) -> _Finding:
    if _was_taken(leaves):
        return _Finding(UNKNOWN, f"failure with a count or taskID: {words}")
    return _by_text(words)


def _was_taken(leaves: Leaves) -> bool:
    """Evidence against a failure is taken from less than evidence for a success: an id within other words will do."""
    words = re.findall("[0-9A-Za-z]{6,}", " ".join(leaves.values.get(name, "") for name in IDS))
    given = _task_id(leaves) or next(filter(_TASK_ID.fullmatch, words), "")
    count = _count(leaves, "successcounts") or 0
    counted = count > 0 or (count < 0 and _SOME.search(leaves.values.get("successcounts", "")) is not None)
    return bool(given) or counted or NESTED in [leaves.values.get(name) for name in _EVIDENCE]


def _by_text(words: str) -> _Finding:
    rule = rules.by_message(words)
    return _Finding(rule or Rule(Outcome.REJECTED), words, unmapped=rule is None)


def _by_error(leaves: Leaves, words: str) -> _Finding:
    """The family's other form of failure, `error` and `remark`; JSON's 1 is a success of some other call."""
    error = leaves.values.get("error", "")
    known = None if leaves.from_json else rules.XML_ERRORS.get(error)
    readable = error.isascii() and error.isdigit() and error.strip("0") and (words or known)
    if not readable or (leaves.from_json and error == "1") or _was_taken(leaves):
        return _Finding(UNKNOWN, f"the answer has no status that we know: {words}")
    rule = rules.by_message(words) or known
    return _Finding(rule or CONFIG, words, unmapped=rule is None)


def _for_number(overall: _Finding, leaves: Leaves, mobile: str) -> _Finding:
    """The answer's word on our own number, where it has one, goes before its word on the whole request. A row that
    names our number and says nothing of it is neither a refusal nor a success."""
    ours = {code for number, code in leaves.rows if number in [prefix + mobile for prefix in _PREFIXES]}
    if len(ours) > 1:
        raise UnreadableError("the answer says two things about our number")
    ours.discard("")
    for code in ours - rules.SUCCESS_CODES:
        return _final(_of_row(code))
    failed = _count(leaves, "failcount")
    listed = leaves.values.get("faillist", "") not in ("", "[]")
    unexplained = not ours and (leaves.rows or failed or listed)
    if ours and overall.refusal is not None:
        return _Finding(UNKNOWN, f"our number was taken, and the whole was not: {overall.words}")
    if overall.refusal is None and unexplained:
        return _Finding(UNKNOWN, f"accepted, but with failures that say nothing of our number: {overall.words}")
    return overall


def _of_row(code: str) -> _Finding:
    # The taskID beside it is that of the whole request, and says nothing of our number.
    return _by_code(code, Leaves(), "") if _CODE.fullmatch(code) else _by_text(code)


def _final(finding: _Finding) -> _Finding:
    """The request was read, timestamp and all, when a single number was refused: another one would send again."""
    rule = finding.refusal
    return replace(finding, refusal=rule._replace(stale=False)) if rule else finding


def _in_whole(finding: _Finding, leaves: Leaves) -> _Finding:
    """A failure whose end is missing is none yet: the rest may have held a taskID."""
    if finding.refusal is None or not leaves.cut:
        return finding
    return _Finding(UNKNOWN, f"a failure in an answer that was cut: {finding.words}")


def _count(leaves: Leaves, name: str) -> int | None:
    """None: not given. What is no number counts as -1: something was said, and it is not a success."""
    text = leaves.values.get(name, "")
    found = _COUNT.fullmatch(text)
    return int(found[1]) if found else (-1 if text else None)


def _task_id(leaves: Leaves) -> str:
    """The gateway's id of the message; empty for the placeholders that stand where there is none."""
    given = (bare_id(leaves.values.get(name, "")) for name in IDS)
    return next((one for one in given if _TASK_ID.fullmatch(one)), "")


def _named(code: str) -> str:
    """Without its leading zeros a respCode is short enough not to be masked as a verification code."""
    return f"respCode {code.lstrip('0') or '0'}"
