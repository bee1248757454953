"""The JSON API: read and await messages, run accounts, provoke faults. For tests, so errors say what to mend.

| call | does |
|---|---|
| `GET /api/messages?mobile=&after=&wait=&q=&limit=` | newest first; waits up to 60 s for one newer than `after` |
| `GET`, `DELETE /api/messages/{id}` | one, with its raw request and answer (passwords masked); delete it |
| `DELETE /api/messages` | delete all |
| `GET`, `DELETE /api/log`, `GET /api/log/{id}` | what was refused or turned away, and why |
| `GET /api/events` | server-sent events: `message`, `refused`, `deleted`, and `reset` when some were missed |
| `GET /api/accounts`, `GET`, `PUT`, `DELETE /api/accounts/{account}` | PUT creates, or changes what is given |
| `GET`, `PUT /api/gateway` | `latency_ms` and `error_rate` of the whole gateway |
| `GET /api/faults` | every fault: its name, its four digits, and whether the message is accepted all the same |
| `POST /api/replies` | a handset answers: `{"account", "mobile", "content", "taskid"?, "extno"?}` |
| `POST /api/reset` | everything as at the start |

Ids only grow while one process runs. Errors are `{"error": "…"}` with 400, 403, 404, 405, 415 or 503.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from otp_service.simulator.centre import Centre, Conditions
from otp_service.simulator.events import Events, EventStream
from otp_service.simulator.faults import FAULTS
from otp_service.simulator.mailbags import HandsetReply
from otp_service.simulator.numbers import known_as
from otp_service.simulator.site import SECURITY, Ask, BadRequestError, Route, json_reply
from otp_service.simulator.wire import Reply, Response

MAX_WAIT = 60
"""Seconds that a long poll may last."""
_LIMIT = 100
_MAX_LIMIT = 10_000


_Given = TypeVar("_Given", bound=BaseModel)


class _GatewayChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    latency_ms: int | None = Field(default=None, ge=0, le=600_000)
    error_rate: float | None = Field(default=None, ge=0, le=1)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")
    account: str = "demo"
    mobile: str = Field(pattern=r"^(1[3-9][0-9]{9}|\+[1-9][0-9]{6,14})$")
    content: str = Field(max_length=1000)
    taskid: str = Field(default="", max_length=64)
    extno: str = Field(default="", pattern="^[0-9]{0,20}$")


class Api:
    """Everything under /api, and /livez."""

    def __init__(self, centre: Centre, events: Events) -> None:
        self._centre = centre
        self._inbox = centre.inbox
        self._events = events

    def routes(self) -> dict[tuple[str, str], Route]:
        return {
            ("GET", "/livez"): self.livez,
            ("GET", "/api/messages"): self.messages,
            ("DELETE", "/api/messages"): self.clear,
            ("GET", "/api/messages/*"): self.message,
            ("DELETE", "/api/messages/*"): self.delete,
            ("GET", "/api/log"): self.log,
            ("DELETE", "/api/log"): self.forget,
            ("GET", "/api/log/*"): self.refusal,
            ("GET", "/api/events"): self.events,
            ("GET", "/api/faults"): self.faults,
            ("GET", "/api/accounts"): self.accounts,
            ("GET", "/api/accounts/*"): self.account,
            ("PUT", "/api/accounts/*"): self.put_account,
            ("DELETE", "/api/accounts/*"): self.delete_account,
            ("GET", "/api/gateway"): self.conditions,
            ("PUT", "/api/gateway"): self.put_conditions,
            ("POST", "/api/replies"): self.reply,
            ("POST", "/api/reset"): self.reset,
        }

    async def livez(self, ask: Ask) -> Reply:
        return json_reply({"status": "ok", "messages": len(self._inbox)})

    async def messages(self, ask: Ask) -> Reply:
        """Messages, newest first. With `wait`, the answer comes as soon as there is one, or empty after that time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ask.number("wait", 0, MAX_WAIT)
        mobile = _mobile(ask)
        after, limit = ask.number("after", 0, 10**18), _limit(ask)
        text = ask.query.get("q", "").strip().lower()
        while True:
            found = self._inbox.find(mobile=mobile, after=after, text=text, limit=limit)
            if found or until <= loop.time() or not await self._inbox.arrival(mobile, until):
                return json_reply({"messages": [message.as_json() for message in found]})

    async def message(self, ask: Ask) -> Reply:
        found = self._inbox.get(_id(ask))
        if found is None:
            raise BadRequestError(404, "there is no such message")
        return json_reply(found.details())

    async def delete(self, ask: Ask) -> Reply:
        if not self._inbox.delete(_id(ask)):
            raise BadRequestError(404, "there is no such message")
        return _done()

    async def clear(self, ask: Ask) -> Reply:
        self._inbox.clear()
        return _done()

    async def log(self, ask: Ask) -> Reply:
        """What was refused and why, newest first."""
        after, limit = ask.number("after", 0, 10**18), _limit(ask)
        newest = [refusal for refusal in reversed(self._inbox.refusals) if refusal.id > after]
        return json_reply({"refusals": [refusal.as_json() for refusal in newest[:limit]]})

    async def refusal(self, ask: Ask) -> Reply:
        wanted = _id(ask)
        for refusal in self._inbox.refusals:
            if refusal.id == wanted:
                return json_reply(refusal.details())
        raise BadRequestError(404, "there is no such refusal")

    async def forget(self, ask: Ask) -> Reply:
        self._inbox.forget_refusals()
        return _done()

    async def events(self, ask: Ask) -> Reply:
        if self._events.full:
            raise BadRequestError(503, "too many listeners: close some pages")
        last = ask.request.header(b"last-event-id") or ask.query.get("last", "")
        return EventStream(self._events, last, SECURITY)

    async def faults(self, ask: Ask) -> Reply:
        return json_reply({"faults": [fault.as_json() for fault in FAULTS]})

    async def accounts(self, ask: Ask) -> Reply:
        return json_reply({"accounts": [account.as_json() for account in self._centre.accounts.all()]})

    async def account(self, ask: Ask) -> Reply:
        found = self._centre.accounts.get(ask.argument)
        if found is None:
            raise BadRequestError(404, "there is no such account: PUT creates it")
        return json_reply(found.as_json())

    async def put_account(self, ask: Ask) -> Reply:
        if not 1 <= len(ask.argument) <= 100:
            raise BadRequestError(400, "an account's name has 1 to 100 characters")
        try:
            return json_reply(self._centre.accounts.put(ask.argument, ask.body()).as_json())
        except ValidationError as error:
            raise BadRequestError(400, _what_to_mend(error)) from error
        except ValueError as error:
            raise BadRequestError(400, str(error)) from error

    async def delete_account(self, ask: Ask) -> Reply:
        if not self._centre.accounts.delete(ask.argument):
            raise BadRequestError(404, "there is no such account")
        return _done()

    async def conditions(self, ask: Ask) -> Reply:
        return json_reply(_shown(self._centre.conditions))

    async def put_conditions(self, ask: Ask) -> Reply:
        change = _read(_GatewayChange, ask.body())
        now = self._centre.conditions
        now.latency_ms = now.latency_ms if change.latency_ms is None else change.latency_ms
        now.error_rate = now.error_rate if change.error_rate is None else change.error_rate
        return json_reply(_shown(now))

    async def reply(self, ask: Ask) -> Reply:
        """A handset answers: the reply waits for `callApi`, or Tencent's `PullSmsReplyStatus`."""
        given = _read(_Reply, ask.body())
        if self._centre.accounts.get(given.account) is None:
            raise BadRequestError(404, "there is no such account")
        reply = HandsetReply(known_as(given.mobile), given.content, self._centre.now(), given.taskid, given.extno)
        self._centre.replies.add(given.account, reply)
        return json_reply({"account": given.account, **reply.leaves()}, 201)

    async def reset(self, ask: Ask) -> Reply:
        ask.body()
        self._centre.reset()
        return _done()


def _id(ask: Ask) -> int:
    text = ask.argument
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequestError(404, "an id is a whole number")
    return int(text)


def _mobile(ask: Ask) -> str:
    """Empty where none is asked for. What is no number must not become a question for everybody's messages."""
    given = ask.query.get("mobile", "")
    mobile = known_as(given)
    if given.strip() and not mobile:
        raise BadRequestError(400, "mobile must be a phone number")
    return mobile


def _limit(ask: Ask) -> int:
    limit = ask.number("limit", _LIMIT, _MAX_LIMIT)
    if limit == 0:
        raise BadRequestError(400, "limit must be at least 1")
    return limit


def _done() -> Response:
    return json_reply({})


def _shown(conditions: Conditions) -> dict[str, Any]:
    return {"latency_ms": conditions.latency_ms, "error_rate": conditions.error_rate}


def _read(model: type[_Given], body: dict[str, Any]) -> _Given:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise BadRequestError(400, _what_to_mend(error)) from error


def _what_to_mend(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors())
