"""`protocol = "email"`: gateways that make an SMS of a mail to an address made of the number. Needs aiosmtplib."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import localtime, make_msgid

import aiosmtplib
from aiosmtplib import SMTPResponseException

from otp_service.channels.general import kept_id, secrets_of
from otp_service.channels.words import gateway_words
from otp_service.errors import InvalidRecipient
from otp_service.ports import Balance, Message, NoBalance, Outcome, Reason, TryResult
from otp_service.recipient import parse as parse_recipient
from otp_service.value_template import MAIL_NAMES, ValueTemplate, line_escape

_GOODBYE_SECONDS = 0.5
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
# What Postfix, Exim and sendmail call the mail in their answer to it.
_QUEUE_IDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"queued as ([A-Za-z0-9-]{4,60})",
        r"\bid=([A-Za-z0-9-]{4,60})",
        r"([A-Za-z0-9]{8,60}) Message accepted",
    )
)
# RFC 5321 §4.2.3 on RCPT: no such mailbox, not here, name not allowed.
_NO_SUCH = (550, 551, 553)
_WANTS_LOGIN = (530, 534, 535, 538)
# RFC 3463 §3.8: refused for who we are, not for whom it is.
_SECURITY = re.compile(r"5\.7\.[0-9]{1,3}\b")


@dataclass(frozen=True, slots=True)
class EmailSettings:
    name: str
    host: str
    port: int | str
    """An empty one is the usual one of `tls`."""
    tls: str
    username: str
    password: str = field(repr=False)
    sender: str
    address: str
    subject: str
    answer_within: float
    deadline: float
    """Seconds, total, for one try."""


class EmailChannel:
    """Implements `ports.Channel`. One connection a mail; `tls` is for tests."""

    def __init__(self, settings: EmailSettings, *, tls: ssl.SSLContext | None = None) -> None:
        self.name = settings.name
        self.answer_within = settings.answer_within
        self.deadline = settings.deadline
        self._settings = settings
        self._tls = tls or (None if settings.tls == "none" else ssl.create_default_context())
        self._address = ValueTemplate.parse(settings.address, MAIL_NAMES)
        self._subject = ValueTemplate.parse(settings.subject, MAIL_NAMES)

    async def deliver(self, message: Message) -> TryResult:
        try:
            address, mail = self._mail(message)
        except InvalidRecipient:
            return TryResult(Outcome.REJECTED, Reason.NUMBER, "the number is in no numbering plan")
        exchange = _Exchange(self._client(), self._settings, self._tls)
        hide = secrets_of(message, self._settings.password, address)
        try:
            async with asyncio.timeout(self.deadline):
                words = await exchange.hand_over(address, mail)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return exchange.failure(error, self.deadline, hide)
        finally:
            await exchange.close()
        return TryResult(
            Outcome.ACCEPTED, detail=gateway_words(words, hide), gateway_id=kept_id(_queue_id(words), message)
        )

    async def balance(self) -> Balance:
        raise NoBalance("mail has no balance query")

    async def aclose(self) -> None: ...

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port if isinstance(settings.port, int) else _PORTS[settings.tls],
            # Without one it asks the DNS for this machine's own name.
            local_hostname=settings.sender.rpartition("@")[2],
            timeout=self.deadline,
            use_tls=settings.tls == "implicit",
            start_tls=False,
            tls_context=self._tls,
        )

    def _mail(self, message: Message) -> tuple[str, bytes]:
        values = {
            "to": message.to,
            "digits": message.to.removeprefix("+"),
            "national": parse_recipient(message.to, "").national,
            "code": message.code,
            "minutes": str(message.minutes),
            "reference": message.reference,
            "extno": message.extno,
        }
        address = self._address.fill(values, line_escape)
        mail = EmailMessage(MAIL_POLICY)
        mail["From"] = self._settings.sender
        mail["To"] = address
        mail["Subject"] = self._subject.fill(values, line_escape)
        mail["Date"] = localtime()
        mail["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation answers it
        mail.set_content(message.text, charset="utf-8", cte="quoted-printable")
        return address, mail.as_bytes()


class _Exchange:
    """One connection and one mail, and how far it has come."""

    def __init__(self, client: aiosmtplib.SMTP, settings: EmailSettings, tls: ssl.SSLContext | None) -> None:
        self._client = client
        self._settings = settings
        self._tls = tls
        self._step = "connect"
        self._done = False

    async def hand_over(self, address: str, mail: bytes) -> str:
        """The server's words on the mail that it took."""
        client, settings = self._client, self._settings
        await client.connect()
        if settings.tls == "starttls":
            self._step = "starttls"
            await client.starttls(tls_context=self._tls)
        if settings.username:
            self._step = "login"
            await client.login(settings.username, settings.password)
        self._step = "mail"
        await client.mail(settings.sender)
        self._step = "rcpt"
        await client.rcpt(address)
        self._step = "data"
        answer = await client.data(mail)
        self._done = True
        return answer.message

    async def close(self) -> None:
        if self._done:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._client.quit()
        self._client.close()

    def failure(self, error: Exception, deadline: float, hide: Sequence[str]) -> TryResult:
        if isinstance(error, SMTPResponseException) and (
            self._step != "data" or isinstance(error, aiosmtplib.SMTPDataError)
        ):
            words = gateway_words(f"{self._step}: {error.code} {error.message}", hide)
            outcome, reason = _by_reply(self._step, error.code, error.message)
            return TryResult(outcome, reason, words)
        # A network's errors are OSErrors here, a refused certificate's as well, which is a ValueError too.
        if not isinstance(error, OSError) and not isinstance(error, SMTPResponseException):
            detail = f"the server does not offer what {self._step} needs: see channels.{self._settings.name}"
            return TryResult(Outcome.REJECTED, Reason.CONFIG, detail)
        timed_out = isinstance(error, TimeoutError)
        outcome = Outcome.UNKNOWN if self._step == "data" else Outcome.RETRYABLE
        what = f"no answer within {deadline:.3g} s" if timed_out else f"the connection broke ({type(error).__name__})"
        return TryResult(outcome, Reason.TIMEOUT if timed_out else Reason.NETWORK, f"{self._step}: {what}")


def _by_reply(step: str, code: int, words: str) -> tuple[Outcome, Reason | None]:
    """RFC 5321 §4.2.1: 4 is for now, 5 is for good; nothing else can follow here."""
    if 400 <= code < 500:
        return Outcome.RETRYABLE, None
    if not 500 <= code < 600:
        return Outcome.UNKNOWN if step == "data" else Outcome.RETRYABLE, Reason.ANSWER
    if step == "login" or code in _WANTS_LOGIN or _SECURITY.match(words):
        return Outcome.REJECTED, Reason.ACCOUNT
    if step == "rcpt" and code in _NO_SUCH:
        return Outcome.REJECTED, Reason.NUMBER
    return Outcome.REJECTED, Reason.CONTENT if step == "data" else Reason.CONFIG


def _queue_id(words: str) -> str:
    found = (pattern.search(words[:500]) for pattern in _QUEUE_IDS)
    return next((match[1] for match in found if match), "")
