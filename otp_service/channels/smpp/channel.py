"""One configured channel: what the worker hands a message to, and where receipts wait for the poller."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Literal, TypeVar

from otp_service.channels.general import kept_id
from otp_service.channels.smpp import pdu
from otp_service.channels.smpp.coding import Part, parts_of
from otp_service.channels.smpp.line import FIRST_WAIT, Line
from otp_service.channels.smpp.pdu import BadPdu, Pdu, read_deliver
from otp_service.channels.smpp.receipts import read_receipt, read_reply
from otp_service.channels.smpp.session import Broken, NotBound, Session
from otp_service.channels.smpp.settings import SmppSettings, destination
from otp_service.channels.smpp.statuses import OK, RX_T_APPN, by_status
from otp_service.ports import Balance, Message, NoBalance, Outcome, Reason, Reply, Report, TryResult

Row = TypeVar("Row")
MOST_WAITING = 10_000
"""Receipts and replies that wait for a poll, each; the SMSC keeps what is beyond, and brings it again."""
_SHORT = 140
"""Octets; GSM-7 packs 160 characters into them. What is longer goes into message_payload, where that is wanted."""


class SmppChannel:
    """Implements `ports.Channel` and `ports.Polled`.

    A receipt is acknowledged when it is here; those that no poll has taken are lost when the process ends.
    `tls` is for tests; `first_wait` in seconds, before the second attempt to bind.
    """

    rows_are_own: Literal[True] = True

    def __init__(
        self, settings: SmppSettings, *, tls: ssl.SSLContext | None = None, first_wait: float = FIRST_WAIT
    ) -> None:
        self.name = settings.name
        self.answer_within = settings.answer_within
        self.deadline = settings.deadline
        self._settings = settings
        self._line = Line(settings, self._receive, tls, first_wait)
        self._window = asyncio.Semaphore(settings.window)
        self._references = itertools.count()
        self._reports: deque[Report] = deque()
        self._replies: deque[Reply] = deque()

    async def deliver(self, message: Message) -> TryResult:
        """Several short messages are sent one after the other, so that a refused first one leaves nothing behind."""
        split = self._settings.long_texts == "udh"
        try:
            parts = parts_of(message.text, next(self._references) % 256, split=split)
            bodies = [self._body(message, part, last=part is parts[-1]) for part in parts]
        except ValueError:
            return TryResult(Outcome.REJECTED, Reason.CONFIG, "the sender holds what no SMSC takes: see sender, extnos")
        progress = _Progress()
        try:
            async with asyncio.timeout(self.deadline), self._window:
                session = await self._line.session()
                for body in bodies:
                    progress.result = await self._submit(session, body, message, progress)
                    if progress.result.outcome is not Outcome.ACCEPTED:
                        break
                    progress.accepted += 1
        except TimeoutError:
            progress.result = _timed_out(progress, self.deadline)
        except NotBound as error:
            progress.result = error.result
        except Broken as error:
            progress.result = TryResult(Outcome.UNKNOWN, Reason.NETWORK, str(error))
        return progress.outcome()

    async def balance(self) -> Balance:
        raise NoBalance("SMPP has no balance query")

    async def reports(self) -> Sequence[Report]:
        self._line.start()
        return _drain(self._reports)

    async def replies(self) -> Sequence[Reply]:
        self._line.start()
        return _drain(self._replies)

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _submit(self, session: Session, body: bytes, message: Message, progress: _Progress) -> TryResult:
        progress.begun = not session.ended.is_set()
        answer = await session.request(pdu.SUBMIT_SM, body)
        progress.begun = False
        if answer.status != OK:
            return by_status(answer.status, self._settings.statuses)
        id = kept_id(pdu.message_id(answer.body), message)
        if self._settings.decimal_receipts:
            id = id.lower().lstrip("0")
        return TryResult(Outcome.ACCEPTED, gateway_id=id)

    def _body(self, message: Message, part: Part, *, last: bool) -> bytes:
        """One receipt a message: that of its last part."""
        payload = self._settings.long_texts == "payload" and len(part.text) > _SHORT
        return pdu.submit(
            self._settings.source(message.extno),
            destination(message.to),
            part.text,
            data_coding=part.data_coding,
            esm_class=part.esm_class,
            receipt=self._settings.receipts and last,
            payload=payload,
        )

    def _receive(self, got: Pdu) -> int:
        """A deliver_sm, whatever it is: one that nobody can read is acknowledged too, or it would come for ever."""
        try:
            delivered = read_deliver(got.body)
        except BadPdu:
            return OK
        if delivered.is_receipt:
            return _keep(self._reports, read_receipt(delivered, decimal_ids=self._settings.decimal_receipts))
        return _keep(self._replies, read_reply(delivered))


class _Progress:
    """How far a message has come."""

    def __init__(self) -> None:
        self.begun = False
        """A request has left and has no answer."""
        self.accepted = 0
        self.result = TryResult(Outcome.UNKNOWN)

    def outcome(self) -> TryResult:
        """Where some parts were taken and another was not, a piece of the message may arrive."""
        if self.accepted and self.result.outcome is not Outcome.ACCEPTED:
            detail = f"only {self.accepted} of several parts were taken: {self.result.detail}"
            return TryResult(Outcome.UNKNOWN, Reason.ANSWER, detail)
        return self.result


def _timed_out(progress: _Progress, deadline: float) -> TryResult:
    if progress.begun:
        return TryResult(Outcome.UNKNOWN, Reason.TIMEOUT, f"no answer within {deadline:.3g} s")
    return TryResult(Outcome.RETRYABLE, Reason.TIMEOUT, f"not bound, or its window full, for {deadline:.3g} s")


def _drain(waiting: deque[Row]) -> list[Row]:
    return [waiting.popleft() for _ in range(len(waiting))]


def _keep(waiting: deque[Row], row: Row | None) -> int:
    if row is None:
        return OK
    if len(waiting) >= MOST_WAITING:
        return RX_T_APPN
    waiting.append(row)
    return OK
