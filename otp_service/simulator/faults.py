"""Faults: what can go wrong at a gateway, by the last four digits of the number or by name on an account.

| digits      | what they provoke                                                              |
|-------------|--------------------------------------------------------------------------------|
| 9601 – 9609 | reports: failed, none, twice, contradictory, late, early, other spellings      |
| 9701 – 9737 | answers of an odd shape: counts, taskIDs, charsets, damage, HTML, DTD, miaodi  |
| 9801 – 9829 | refusals, each in the family's words                                           |
| 9901 – 9933 | the wire: HTTP statuses, redirects, hang, reset, slow, truncated, endless, gzip |
| 7ccc        | miaodi path only: respCode 00ccc, for each code that clients know              |

Every other number is an ordinary one, so …8000, …0000, …1234 and …0001 to …0009 always work. `GET /api/faults` lists
all of them. A message meets its fault only after it has passed every check; the account's goes before the number's.
Other protocols meet those that make sense there, refusals in their own words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from otp_service.simulator import words
from otp_service.simulator.disruptions import Drip, Endless, GzipBomb, Hang, Late, Reset, Truncated
from otp_service.simulator.odd_answers import ODD_ANSWERS, Case, Replier
from otp_service.simulator.protocol_words import WORDS, Protocol
from otp_service.simulator.wire import Headers, Reply, Response


@dataclass(frozen=True, slots=True)
class Row:
    """One report that a message leads to: `delay` seconds after the account's own; an empty status leaves it out."""

    delay: float = 0.0
    status: str = "10"
    errorcode: str = "DELIVRD"


def honest(case: Case) -> Response:
    return case.honest()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `accepts`: whether the message is taken, charged and reported all the same."""

    name: str
    suffix: str
    about: str
    accepts: bool
    reply: Replier = field(repr=False, default=honest)
    reports: tuple[Row, ...] | None = None
    """None: as the account says."""
    refused: words.Refused | None = None

    @property
    def miaodi_only(self) -> bool:
        return self.suffix[0] == "7"

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "suffix": self.suffix, "accepts": self.accepts, "about": self.about}


LATE = 600.0
"""Seconds after the account's own delay: later than any verification of ten minutes lives."""
EARLY = 1.5
"""Seconds by which the answer comes after its report."""

_REPORTS: tuple[tuple[str, str, tuple[Row, ...], Replier], ...] = (
    ("report_failed", "The report says 20, UNDELIV.", (Row(0, "20", "UNDELIV"),), honest),
    ("report_none", "No report ever comes.", (), honest),
    ("report_duplicate", "The same report twice.", (Row(), Row()), honest),
    ("report_contradictory", "Delivered, then failed.", (Row(), Row(0.5, "20", "UNDELIV")), honest),
    ("report_late", "The report comes 600 s late.", (Row(LATE),), honest),
    (
        "report_early",
        "The report is there 1.5 s before the answer.",
        (Row(-1e9),),
        lambda case: Late(case.honest(), EARLY),
    ),
    ("report_word", "DELIVRD stands in status, 0 in errorcode.", (Row(0, "DELIVRD", "0"),), honest),
    (
        "report_pending",
        "First a row without status and errorcode, then the true one.",
        (Row(0, "", ""), Row(1)),
        honest,
    ),
    ("report_no_status", "A row without status; errorcode says MK:0001.", (Row(0, "", "MK:0001"),), honest),
)

_REFUSALS = (
    *(words.ACTION, words.CREDENTIALS_MISSING, words.SIGN, words.TIMESTAMP, words.SEND_TIME, words.CREDENTIALS),
    *(words.MOBILE, words.CONTENT, words.CONTENT_CHARSET, words.CONTENT_LENGTH, words.NUMBER, words.BLACKLIST),
    *(words.SIGNATURE, words.TEMPLATE, words.KEYWORD, words.EXTNO, words.BATCH, words.FREQUENCY, words.BALANCE),
    *(words.IP, words.SUSPENDED, words.ACCOUNT_EXPIRED, words.SENSITIVE, words.INJECTION, words.SIGNATURE_NEEDED),
    *(words.OTHER, words.BUSY, words.HOURS, words.UNMAPPED),
)
_ABOUT = {"content_length": "500", "keyword": "贷款", "batch": "100"}


def _page(status: int, headers: Headers = ()) -> Replier:
    body = f"<html><head><title>{status}</title></head><body>error {status}</body></html>".encode()
    return lambda case: Response(status, body, "text/html; charset=utf-8", headers)


def _redirect(status: int, to: bytes) -> Replier:
    return _page(status, ((b"location", to),))


_ELSEWHERE = b"http://127.0.0.1:9/error.htm"

_STATUSES: tuple[tuple[int, str], ...] = tuple(
    (status, f"HTTP {status}, before the message is accepted.")
    for status in (400, 401, 403, 404, 405, 408, 413, 415, 500, 502, 503, 504)
)

_WIRE: tuple[tuple[str, str, bool, Replier], ...] = (
    *((f"http_{status}", about, False, _page(status)) for status, about in _STATUSES),
    ("http_429", "HTTP 429 with Retry-After: 7.", False, _page(429, ((b"retry-after", b"7"),))),
    ("http_503_retry", "HTTP 503 with Retry-After: 7.", False, _page(503, ((b"retry-after", b"7"),))),
    ("http_500_accepted", "HTTP 500 after the message was accepted.", True, _page(500)),
    ("http_502_accepted", "HTTP 502 after the message was accepted.", True, _page(502)),
    ("redirect_301", "HTTP 301 to a closed port.", False, _redirect(301, _ELSEWHERE)),
    ("redirect_302", "HTTP 302 to a closed port.", False, _redirect(302, _ELSEWHERE)),
    ("redirect_307", "HTTP 307 to a closed port.", False, _redirect(307, _ELSEWHERE)),
    ("redirect_metadata", "HTTP 302 to a cloud's metadata address.", False, _redirect(302, b"http://169.254.169.254/")),
    ("hang", "No answer; the message was accepted.", True, lambda case: Hang()),
    ("hang_unsent", "No answer; the message was not accepted.", False, lambda case: Hang()),
    ("reset", "TCP reset; the message was accepted.", True, lambda case: Reset()),
    ("reset_unsent", "TCP reset; the message was not accepted.", False, lambda case: Reset()),
    ("truncated", "The connection closes within the body.", True, lambda case: _truncated(case.honest())),
    (
        "truncated_at_once",
        "The connection closes right after the head.",
        True,
        lambda case: Truncated(case.honest(), 0),
    ),
    ("slow", "The answer comes after 2.5 s.", True, lambda case: Late(case.honest(), 2.5)),
    ("slower", "The answer comes after 8 s.", True, lambda case: Late(case.honest(), 8.0)),
    ("drip", "The answer, one byte every 0.2 s.", True, lambda case: Drip(case.honest(), 0.2)),
    ("endless", "The answer, then blanks without end, chunked.", True, lambda case: Endless(case.honest())),
    ("gzip_bomb", "50 KB of gzip that become 50 MB.", True, lambda case: GzipBomb(case.honest())),
    ("mebibyte", "1 MiB of blanks, then the answer.", True, lambda case: _padded(case.honest())),
    ("closing", "A good answer with Connection: close.", True, lambda case: _closing(case.honest())),
)


def _truncated(response: Response) -> Reply:
    return Truncated(response, len(response.body) * 2 // 5)


def _padded(response: Response) -> Reply:
    return replace(response, body=b" " * (1 << 20) + response.body)


def _closing(response: Response) -> Reply:
    return replace(response, headers=((b"connection", b"close"),))


def _refusal(refusal: words.Refusal, suffix: str) -> Fault:
    # The usual hint would send a developer after a mistake that isn't there.
    provoked = replace(refusal, hint=words.PROVOKED, hint_zh=words.PROVOKED_ZH)
    refused = words.Refused(provoked, _ABOUT.get(refusal.name, ""))
    return Fault(f"refuse_{refusal.name}", suffix, f"Refused: {refused.message}", False, refused=refused)


def _miaodi_code(code: str) -> Fault:
    refused = words.Refused(
        words.Refusal(f"miaodi_{code}", words.miaodi_words(code), code, words.PROVOKED, words.PROVOKED_ZH)
    )
    return Fault(f"miaodi_{code}", "7" + code[2:], f"Miaodi path only: respCode {code}.", False, refused=refused)


def _table() -> tuple[Fault, ...]:
    return (
        *(Fault(n, f"{9601 + i}", about, True, reply, rows) for i, (n, about, rows, reply) in enumerate(_REPORTS)),
        *(Fault(odd.name, f"{9701 + i}", odd.about, odd.accepts, odd.write) for i, odd in enumerate(ODD_ANSWERS)),
        *(_refusal(refusal, f"{9801 + i}") for i, refusal in enumerate(_REFUSALS)),
        *(Fault(name, f"{9901 + i}", about, accepts, reply) for i, (name, about, accepts, reply) in enumerate(_WIRE)),
        *(_miaodi_code(code) for code in words.MIAODI_CODES),
    )


FAULTS = _table()
BY_NAME = {fault.name: fault for fault in FAULTS}
OF_THE_WIRE = frozenset(fault.name for fault in FAULTS if fault.suffix.startswith("99"))
"""Those that need no message: an account's `query_fault` can be any of them."""
_BY_SUFFIX = {fault.suffix: fault for fault in FAULTS}


_ANYWHERE = frozenset({"html", "empty", "cut", "content_type", "json_depth", "json_integer"})
"""Odd answers that any protocol could give; the others are bent from `returnsms`."""
_FAMILY_REPORTS = frozenset({"report_word", "report_pending", "report_no_status"})


def makes_sense(fault: Fault, protocol: Protocol) -> bool:
    """Whether a message of that protocol can meet that fault."""
    if protocol is Protocol.SMS_ASPX or fault.suffix.startswith("99"):
        return True
    if fault.refused is not None:
        return fault.refused.refusal.name in WORDS[protocol]
    return fault.name not in _FAMILY_REPORTS if fault.suffix.startswith("96") else fault.name in _ANYWHERE


def of_number(mobile: str) -> Fault | None:
    """The fault that this number's last four digits provoke, if any."""
    return _BY_SUFFIX.get(mobile[-4:])
