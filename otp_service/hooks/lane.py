"""`Lane`: the way to one webhook. Each has its own, so that one that is down or slow delays no other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from otp_service import metrics
from otp_service.events import Event, Webhook
from otp_service.hooks.schedule import ATTEMPTS, delay_ms
from otp_service.keyring import Keyring, SealBroken
from otp_service.ports import AddressRefused, Fate, Hook, HookAnswer, HookFailed, HookQueue, HookReceiver, StoreDown
from otp_service.webhook_signature import sign

_LOG = structlog.get_logger("otp_service.hooks")

CONCURRENCY = 8
"""Requests to one webhook at a time, from one process."""
DEADLINE = 15.0
"""Seconds for one attempt, in total. Standard Webhooks 1.0.0, "Deliverability": 15 to 30."""
LEASE_MS = 30_000
"""Twice the deadline: an attempt has ended before another may claim its event."""
_GONE = 410
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class _End:
    """What an attempt came to."""

    result: str
    """A label of `otp_webhooks_total`."""
    fate: Fate
    delay_ms: int = 0
    detail: str = ""


class Lane:
    def __init__(
        self,
        webhook: Webhook,
        queue: HookQueue,
        receiver: HookReceiver,
        keyring: Keyring,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.webhook = webhook
        self._queue = queue
        self._receiver = receiver
        self._keyring = keyring
        self._chance = chance
        self._active: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._more_is_due = False
        self._is_full = self._fails = self._has_dropped = False

    async def add(self, events: list[Event]) -> None:
        """Queue those of them that this webhook wants. Raises StoreDown."""
        wanted = [event for event in events if self.webhook.wants(event)]
        if not wanted:
            return
        dropped = await self._queue.add(self.webhook, wanted)
        self._count("full", dropped)
        if dropped and not self._is_full:
            _LOG.error("events are dropped: too many wait for a webhook", webhook=self.webhook.name)
        self._is_full = bool(dropped)
        self.wake()

    async def step(self) -> None:
        """Begin to send what is due, as far as there is room. Raises StoreDown."""
        free = CONCURRENCY - len(self._active)
        if free <= 0:
            return
        hooks = await self._queue.claim(self.webhook, free, LEASE_MS)
        self._more_is_due = len(hooks) == free
        for hook in hooks:
            task = asyncio.create_task(self._send(hook))
            self._active.add(task)
            task.add_done_callback(self._ended)

    async def wait(self, seconds: float) -> None:
        """Until there may be something to do, at most so long."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
        self._news.clear()

    def wake(self) -> None:
        """End the `wait` that is going on, or the next one."""
        self._news.set()

    async def drain(self, seconds: float) -> bool:
        """Let what is under way end; False when some had to be cut off. Those are sent again, with their ids."""
        if not self._active:
            return True
        _, unfinished = await asyncio.wait(set(self._active), timeout=seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return not unfinished

    async def aclose(self) -> None:
        await self._receiver.aclose()

    # --- one attempt ----------------------------------------------------------------------------------------------

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        if self._more_is_due:
            self.wake()

    async def _send(self, hook: Hook) -> None:
        try:
            end = await self._attempt(hook)
            if await self._queue.settle(self.webhook, hook, end.fate, end.delay_ms):
                self._count(end.result)
                self._tell(end, hook)
        except StoreDown as error:
            _LOG.warning("an event may be sent twice: Redis does not answer", event_id=hook.event.id, error=str(error))
        except Exception:
            # The lease ends, and the attempt was counted: a fault of ours does not repeat it for ever.
            _LOG.exception("an event could not be sent", webhook=self.webhook.name, event_id=hook.event.id)

    async def _attempt(self, hook: Hook) -> _End:
        if hook.attempt > ATTEMPTS:
            return _End("dropped", Fate.DONE, detail="the last attempt was cut off")
        body = hook.event.body(self._mask(hook.event))
        signed = sign(self.webhook.secrets, hook.event.id, hook.now // 1000, body)
        try:
            answer = await self._receiver.post(body, {"Content-Type": "application/json", **signed}, DEADLINE)
        except HookFailed as error:
            return self._again(hook, None, "refused" if isinstance(error, AddressRefused) else "failed", str(error))
        if 200 <= answer.status < 300:
            return _End("delivered", Fate.DONE)
        if answer.status == _GONE:
            return _End("gone", Fate.GONE)
        return self._again(hook, answer.retry_after, "failed", _said(answer))

    def _again(self, hook: Hook, retry_after: float | None, result: str, detail: str) -> _End:
        delay = delay_ms(hook.attempt, retry_after, self._chance())
        return _End("dropped", Fate.DONE, detail=detail) if delay is None else _End(result, Fate.RETRY, delay, detail)

    def _mask(self, event: Event) -> str | None:
        """The number's mask; None where it can't be opened any more: the rest is worth being told."""
        if not event.mask:
            return None
        try:
            return self._keyring.unseal(event.kid, event.verification_id, "mask", event.mask)
        except SealBroken:
            return None

    # --- what is said of it ---------------------------------------------------------------------------------------

    def _count(self, result: str, events: int = 1) -> None:
        metrics.WEBHOOKS.labels(self.webhook.name, result).inc(events)

    def _tell(self, end: _End, hook: Hook) -> None:
        """One line when it begins to fail, when it first costs an event, and when it works again."""
        log = _LOG.bind(webhook=self.webhook.name, event_id=hook.event.id, event_type=hook.event.type)
        if end.result == "delivered":
            if self._fails:
                log.info("a webhook works again")
            self._fails = self._has_dropped = False
        elif end.result == "gone":
            log.error("a webhook is off: its address answered 410; change its url to tell it of events again")
        elif end.result == "dropped" and not self._has_dropped:
            self._fails = self._has_dropped = True
            log.error("events are dropped: a webhook took none of their attempts", detail=end.detail)
        elif not self._fails:
            self._fails = True
            log.warning("a webhook fails; events are sent again later", detail=end.detail)


def _said(answer: HookAnswer) -> str:
    not_followed = ", and redirects are not followed" if answer.status in _REDIRECTS else ""
    return f"answered {answer.status}{not_followed}"
