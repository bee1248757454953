"""What an SMSC's command_status comes to: SMPP 3.4 §5.1.3. Any status but 0 says that nothing was taken."""

from __future__ import annotations

from collections.abc import Mapping

from otp_service.channels.http_outcomes import Rule
from otp_service.ports import Outcome, Reason, TryResult

OK, RX_T_APPN, INVALID_COMMAND = 0x00, 0x64, 0x03

_RETRYABLE = Rule(Outcome.RETRYABLE)
_TOO_OFTEN = Rule(Outcome.RETRYABLE, Reason.RATE)
_NUMBER = Rule(Outcome.REJECTED, Reason.NUMBER)
_CONTENT = Rule(Outcome.REJECTED, Reason.CONTENT)
_ACCOUNT = Rule(Outcome.REJECTED, Reason.ACCOUNT)
_CONFIG = Rule(Outcome.REJECTED, Reason.CONFIG)

_STATUSES: dict[int, tuple[str, Rule]] = {
    0x01: ("ESME_RINVMSGLEN", _CONTENT),
    0x02: ("ESME_RINVCMDLEN", _CONFIG),
    0x03: ("ESME_RINVCMDID", _CONFIG),
    0x04: ("ESME_RINVBNDSTS", _RETRYABLE),
    0x05: ("ESME_RALYBND", _RETRYABLE),
    0x06: ("ESME_RINVPRTFLG", _CONFIG),
    0x07: ("ESME_RINVREGDLVFLG", _CONFIG),
    0x08: ("ESME_RSYSERR", _RETRYABLE),
    0x0A: ("ESME_RINVSRCADR", _CONFIG),
    0x0B: ("ESME_RINVDSTADR", _NUMBER),
    0x0D: ("ESME_RBINDFAIL", _ACCOUNT),
    0x0E: ("ESME_RINVPASWD", _ACCOUNT),
    0x0F: ("ESME_RINVSYSID", _ACCOUNT),
    0x14: ("ESME_RMSGQFUL", _TOO_OFTEN),
    0x15: ("ESME_RINVSERTYP", _CONFIG),
    0x33: ("ESME_RINVNUMDESTS", _NUMBER),
    0x43: ("ESME_RINVESMCLASS", _CONFIG),
    0x45: ("ESME_RSUBMITFAIL", _RETRYABLE),
    0x48: ("ESME_RINVSRCTON", _CONFIG),
    0x49: ("ESME_RINVSRCNPI", _CONFIG),
    0x50: ("ESME_RINVDSTTON", _NUMBER),
    0x51: ("ESME_RINVDSTNPI", _NUMBER),
    0x53: ("ESME_RINVSYSTYP", _CONFIG),
    0x58: ("ESME_RTHROTTLED", _TOO_OFTEN),
    0x61: ("ESME_RINVSCHED", _CONFIG),
    0x62: ("ESME_RINVEXPIRY", _CONFIG),
    0x64: ("ESME_RX_T_APPN", _RETRYABLE),
    0xC0: ("ESME_RINVOPTPARSTREAM", _CONFIG),
    0xC1: ("ESME_ROPTPARNOTALLWD", _CONFIG),
    0xC2: ("ESME_RINVPARLEN", _CONFIG),
    0xC3: ("ESME_RMISSINGOPTPARAM", _CONFIG),
    0xC4: ("ESME_RINVOPTPARAMVAL", _CONFIG),
    0xFF: ("ESME_RUNKNOWNERR", Rule(Outcome.UNKNOWN, Reason.ANSWER)),
}


def by_status(status: int, own: Mapping[str, str]) -> TryResult:
    """For a status that is not 0. `own`: what the operator says of single ones, `{"0x401": "balance"}`."""
    name, rule = _STATUSES.get(status, (f"status {status:#x}", None))
    word = own.get(f"{status:#x}")
    if word:
        rule = _RETRYABLE if word == Outcome.RETRYABLE else Rule(Outcome.REJECTED, Reason(word))
    chosen = rule or _CONFIG
    return TryResult(chosen.outcome, chosen.reason, name, unmapped=rule is None)
