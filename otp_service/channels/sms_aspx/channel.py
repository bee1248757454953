"""One configured channel of the family: what the worker hands a message to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from otp_service.channels.http import MAX_ANSWER, HttpAnswer, HttpError
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import no_answer
from otp_service.channels.sms_aspx.answers import Verdict, judge
from otp_service.channels.sms_aspx.boxes import CALLS, MAX_LIST, STATUSES, Fields, read_rows, reply, report
from otp_service.channels.sms_aspx.forms import Form, balance_form, list_form, mainland_number, send_form
from otp_service.channels.sms_aspx.leaves import WORDS, Leaves, UnreadableError, read_leaves
from otp_service.channels.sms_aspx.pushes import read_family_push
from otp_service.channels.sms_aspx.rules import SUCCESS_WORDS
from otp_service.channels.sms_aspx.settings import SmsAspxSettings
from otp_service.channels.words import gateway_words
from otp_service.ports import (
    Balance,
    ChannelError,
    Message,
    NoBalance,
    Outcome,
    Push,
    Reason,
    Reply,
    Report,
    TryResult,
)

_AMOUNT = re.compile(r"(-?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?)\s*[条條元]?")

_STAMP_STEP = 1.0
"""Seconds between two timestamps that differ: they have no finer digits."""


class SmsAspxChannel(HttpChannel[SmsAspxSettings]):
    """Implements `ports.Channel`, `ports.Polled` and `ports.Pushing`."""

    async def deliver(self, message: Message) -> TryResult:
        """A number outside mainland China, or a text outside the channel's charset, is rejected and nothing leaves."""
        mobile = mainland_number(message.to)
        if mobile is None:
            return TryResult(
                Outcome.REJECTED, Reason.NUMBER, "this channel sends to mainland China mobiles (+86 1…) only"
            )
        ends = asyncio.get_running_loop().time() + self.deadline
        settings = replace(self._settings, extno=message.extno) if message.extno else self._settings
        now = self._clock()
        verdict = await self._try(settings, mobile, message.text, now, ends)
        if verdict.stale and asyncio.get_running_loop().time() < ends:
            # The timestamp was refused before the message was looked at: a second request sends no second SMS.
            # At least the next second, for the first one's is spent; gateways allow for minutes either way.
            fresh = max(self._clock(), now + _STAMP_STEP)
            verdict = await self._try(settings, mobile, message.text, fresh, ends)
        return verdict.result

    async def balance(self) -> Balance:
        form = balance_form(self._settings, self._clock())
        if form is None:
            raise NoBalance(f"profile {self._settings.profile} offers no balance query")
        ends = asyncio.get_running_loop().time() + self.deadline
        try:
            answer = await self._post(form, ends)
            if answer.status != 200:
                raise ChannelError(f"the gateway answered HTTP {answer.status}: check channels.{self.name}.url")
            return _balance(read_leaves(answer.body), form)
        except (HttpError, UnreadableError) as error:
            raise ChannelError(gateway_words(str(error), form.secrets)) from error

    async def reports(self) -> Sequence[Report]:
        return [found for row in await self._rows(STATUSES) if (found := report(row))]

    async def replies(self) -> Sequence[Reply]:
        return [found for row in await self._rows(CALLS) if (found := reply(row))]

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        return read_family_push(push, self._settings.report_secret, now)

    async def _try(self, settings: SmsAspxSettings, mobile: str, text: str, now: float, ends: float) -> Verdict:
        try:
            form = send_form(settings, mobile, text, now)
        except UnicodeEncodeError:
            detail = f"the text holds a character that {self._settings.encoding} lacks"
            return Verdict(TryResult(Outcome.REJECTED, Reason.CONTENT, detail))
        try:
            answer = await self._post(form, ends)
        except HttpError as error:
            return Verdict(no_answer(error))
        return judge(answer.status, answer.body, mobile, retry_after=answer.retry_after, hide=form.secrets)

    async def _rows(self, kind: str) -> Sequence[Fields]:
        form = list_form(self._settings, (STATUSES, CALLS).index(kind), self._clock())
        if form is None:
            return ()
        ends = asyncio.get_running_loop().time() + self.deadline
        try:
            answer = await self._post(form, ends, MAX_LIST)
            if answer.status != 200:
                raise ChannelError(f"the gateway answered HTTP {answer.status} to the query for its {kind}")
            return read_rows(answer.unpacked or answer.body, kind)
        except (HttpError, UnreadableError) as error:
            raise ChannelError(gateway_words(str(error), form.secrets)) from error

    async def _post(self, form: Form, ends: float, most: int = MAX_ANSWER) -> HttpAnswer:
        left = ends - asyncio.get_running_loop().time()
        return await self._client.post(form.url, form.body, content_type=form.content_type, deadline=left, most=most)


def _balance(leaves: Leaves, form: Form) -> Balance:
    status, amount = leaves.first(("returnstatus",)).lower(), _AMOUNT.fullmatch(leaves.first(("overage",)))
    if status not in SUCCESS_WORDS or amount is None:
        words = gateway_words(leaves.first(WORDS), form.secrets)
        if status in SUCCESS_WORDS:
            raise ChannelError("the gateway took the balance query, and its answer has no balance that can be read")
        raise ChannelError(f"the gateway refused the balance query: {words or 'it gave no reason'}")
    return Balance(amount[1].replace(",", ""), gateway_words(leaves.first(("payinfo",)), form.secrets))
