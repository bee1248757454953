"""A CAPTCHA, as the domain asks for it: who judges its tokens, and who remembers those that were spent."""

from __future__ import annotations

from typing import Protocol


class CaptchaRefused(Exception):
    """The token proves nothing: wrong, too old, seen before, or made elsewhere. The text is ours, and may be shown."""


class CaptchaDown(Exception):
    """There is no verdict on the token. The text says why, and repeats nothing of it and no secret."""

    def __init__(self, detail: str, *, silent: bool) -> None:
        super().__init__(detail)
        self.silent = silent
        """Nothing came that could be the service's word. False where it did speak: of a mistake of ours, or what we
        can't read; a token could have brought that about, so nobody may pass for it."""


class Challenger(Protocol):
    """One CAPTCHA service. Threads share it."""

    @property
    def verifier(self) -> str:
        """Which widget it is for: `turnstile`, `hcaptcha`, `geetest`, or `url` for one of the operator's own."""
        ...

    @property
    def site_key(self) -> str:
        """What the widget needs; no secret. Empty where it needs nothing."""
        ...

    def identity(self, token: str) -> str:
        """What the token stands for, the same however it is spelled. Raises CaptchaRefused where it can be none."""
        ...

    def verify(self, token: str, client_ip: str | None) -> None:
        """Return if the service says, now, that a person solved it. Raises CaptchaRefused, CaptchaDown.

        Services take a token once: asked again, they refuse it. So this is not repeated when an answer is lost.
        """
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


class SpentTokens(Protocol):
    """Tokens that were good, each under a keyed hash, for as long as any service would take them. Raises StoreDown."""

    def spender(self, name: str) -> str:
        """The nonce of the request that spent it, "" for none."""
        ...

    def spend(self, name: str, nonce: str) -> str:
        """Spend it for this request. The nonce of the request that it is spent for: another's, if that came first."""
        ...
