"""Whether a start must show that a person asks for it, and whether its CAPTCHA token shows that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otp_service.calls import StartRequest
from otp_service.errors import ChallengeRequired, Unavailable
from otp_service.policy import Client
from otp_service.ports import CaptchaDown, CaptchaRefused, Challenger, SpentTokens
from otp_service.recipient import Recipient

Suspect = Callable[[Client, Recipient], str | None]
"""Why a start of this client to this number is mistrusted, None if it is not."""

RETRY_SECONDS = 5
"""A CAPTCHA service that is silent now is worth asking again soon: a person waits before a form."""

_MISSING = (
    "This start needs a CAPTCHA: show the person the widget that `challenge` names, and start again with its token as "
    "captcha_token."
)
_AGAIN = "Show the widget anew, and start again with its new token as captcha_token."


@dataclass(frozen=True, slots=True)
class Challenge:
    """Asked before anything is counted or sent. A token that was good is spent, whatever becomes of its start."""

    challenger: Challenger
    spent: SpentTokens
    name: Callable[[str], str]
    """The keyed hash under which a spent token is remembered."""
    pass_when_silent: bool = False

    def check(self, client: Client, request: StartRequest, nonce: str, suspicious: str | None = None) -> None:
        """Return if this start may go on. Raises ChallengeRequired, Unavailable, StoreDown.

        `suspicious` says why somebody mistrusts it, None if nobody does; it must follow from the client and the
        number's prefix alone. A request that is run again with its first `nonce` needs no second token.
        """
        reason = reason_for(client, suspicious)
        if not reason:
            return
        if request.captcha_token is None:
            raise self._required(reason, _MISSING)
        try:
            self._spend(request.captcha_token, request.client_ip, nonce)
        except CaptchaRefused as refused:
            detail = f"{refused} {_AGAIN}"
        except CaptchaDown as down:
            if down.silent and self.pass_when_silent:
                return
            raise Unavailable(
                "The CAPTCHA service gave no verdict, so nothing was sent; try again.", retry_after=RETRY_SECONDS
            ) from down
        else:
            return
        raise self._required(reason, detail)

    def _spend(self, token: str, client_ip: str | None, nonce: str) -> None:
        name = self.name(self.challenger.identity(token))
        spender = self.spent.spender(name)
        if not spender:
            self.challenger.verify(token, client_ip)
            # Two at once may both be told that it is good: one of them spends it.
            spender = self.spent.spend(name, nonce)
        if spender != nonce:
            raise CaptchaRefused("This CAPTCHA token was used before; one token is good for one start.")

    def _required(self, reason: str, detail: str) -> ChallengeRequired:
        return ChallengeRequired(
            detail, reason=reason, verifier=self.challenger.verifier, site_key=self.challenger.site_key
        )


def nobody(client: Client, to: Recipient) -> None:
    """The Suspect of an installation that mistrusts no start."""


def reason_for(client: Client, suspicious: str | None) -> str:
    """`client` or `suspicious`: why this start needs a token; "" where it needs none."""
    if client.challenge == "always":
        return "client"
    return "suspicious" if suspicious is not None and client.challenge == "suspicious" else ""


def unverifiable(client: Client, request: StartRequest, nonce: str, suspicious: str | None = None) -> None:
    """`Challenge.check` of an installation without a verifier: what needs a token can't start. Raises Unavailable."""
    if reason_for(client, suspicious):
        raise Unavailable("This start needs a CAPTCHA, and no [challenge] is configured here.", retry_after=60)
