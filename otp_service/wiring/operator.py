"""What the operator's commands and the metrics ask: how the installation stands, and what became of one number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otp_service import store
from otp_service.admission import Admission
from otp_service.availability import blocked_until
from otp_service.calls import StartRequest
from otp_service.charging import common_limits
from otp_service.config import Config
from otp_service.errors import NotFound, Problem, RecipientBlocked
from otp_service.keyring import Keyring, VerificationId
from otp_service.metrics import Level
from otp_service.policy import MIN_LIFE_TO_RESEND_MS, Client, Rules
from otp_service.ports import FullLimits, Hindrance, HookState, Installation, Origin, StoreDown
from otp_service.recipient import Recipient
from otp_service.recipient import parse as parse_recipient
from otp_service.routes import eligible
from otp_service.verification import Status, Verification
from otp_service.verifier import Verifier
from otp_service.wiring.api import build_keyring
from otp_service.wiring.limits import recipient_limits

if TYPE_CHECKING:
    import redis

_BLOCK_SECONDS = 0.0


@contextmanager
def operations(config: Config) -> Iterator[store.RedisOperations]:
    """Closed when left."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisOperations(client, config.redis.prefix)
    finally:
        client.close()


def look(config: Config) -> Installation:
    """Everything that `status` shows of Redis. Raises StoreDown."""
    with operations(config) as asked:
        return asked.look([channel.name for channel in config.channels])


def full_limits(config: Config) -> FullLimits:
    """Which limits refuse all that a client asks for, or everybody. Raises StoreDown."""
    with operations(config) as asked:
        return asked.full(list(common_limits(config.rules(), [client.name for client in config.clients])))


def look_at_hooks(config: Config) -> tuple[Sequence[HookState], Sequence[str]]:
    """How the webhooks' queues stand, and of which that is not known: where Redis does not answer."""
    if not config.webhooks:
        return (), ()

    # Imported here: the metrics of every process come from this module, and few processes know webhooks.
    from otp_service.wiring.dispatcher import hook_states

    async def ask() -> tuple[Sequence[HookState], Sequence[str]]:
        client = store.connect_async(config.redis.url.get_secret_value(), _BLOCK_SECONDS)
        try:
            return await hook_states(config, client)
        finally:
            await client.aclose()

    return asyncio.run(ask())


# --- one number, or one verification ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Traced:
    """One verification of one client, as the API's GET shows it to that client."""

    client: str
    verification: Verification


@dataclass(frozen=True, slots=True)
class Trail:
    """What is known, newest first, and what refuses a send at the moment `now`."""

    now: int
    to: str
    """Masked; "" where nothing is known."""
    verifications: Sequence[Traced]
    hindrances: Sequence[Hindrance]
    unknown: Sequence[str] = ()
    """What may refuse a send, too: it lies on a master of a cluster that does not answer, while others do."""


def trace(config: Config, asked: str) -> Trail:
    """The trail of a number, or of a verification by its id.

    Raises InvalidRecipient for what is neither, NotFound for an id that nobody knows (any longer), StoreDown, and
    Unavailable for a record whose secret key is no longer configured.
    """
    with _Tracer.of(config) as tracer:
        id = tracer.keyring.parse_id(asked)
        if id is None and asked.startswith("ver_"):
            raise _unknown_id()
        return tracer.by_id(id) if id else tracer.by_number(asked)


def _unknown_id() -> NotFound:
    return NotFound("No verification with this id is known; an ended one is remembered for 2 h.")


@dataclass(frozen=True, slots=True)
class _Tracer:
    config: Config
    keyring: Keyring
    operations: store.RedisOperations
    store: store.RedisStore
    verifier: Verifier

    @classmethod
    @contextmanager
    def of(cls, config: Config) -> Iterator[_Tracer]:
        client = store.connect(config.redis.url.get_secret_value())
        keyring, prefix = build_keyring(config), config.redis.prefix
        kept = store.RedisStore(client, prefix, store.retaining(config.retention.domain(), config.redis.fence))
        try:
            yield cls(
                config, keyring, store.RedisOperations(client, prefix), kept, Verifier(kept, keyring, config.rules())
            )
        finally:
            client.close()

    def by_id(self, id: VerificationId) -> Trail:
        client = self.operations.client_of(id)
        if client is None:
            raise _unknown_id()
        traced = self._traced(client, id.text)
        sealed = self.store.view(id, client)
        to = self.keyring.unseal(sealed.row.kid, id.text, "to", sealed.to) if sealed.to else ""
        now, hindrances = self._hindrances(self._origin(client, id.partition, id.recipient, id.prefix))
        held = self._beyond_the_number([client], parse_recipient(to, "") if to else None)
        refusing = [*held.hindrances, *hindrances, *_of(now, [traced])]
        return Trail(now, traced.verification.to, [traced], refusing, held.unknown)

    def by_number(self, number: str) -> Trail:
        to = parse_recipient(number, self.config.service.default_region)
        partition, prefix = self.keyring.partition(to.prefix), self.keyring.prefix(to.prefix)
        rules = self.config.rules()
        found, hindrances, now = [], dict[tuple[str, str], Hindrance](), 0
        for client in self.config.clients:
            origin = self._origin(client.name, partition, self.keyring.recipient(to.e164), prefix)
            scopes = self.keyring.scopes(client.name, rules.policies, to.e164)
            for id in self.store.recent(partition, origin.owner, scopes):
                with suppress(NotFound):  # it is forgotten before its place in the list
                    found.append(self._traced(client.name, id))
            now, refusing = self._hindrances(origin)
            refusing += _not_served(rules, client.domain(), to)
            hindrances.update({(one.limit, one.client): one for one in refusing})
        found.sort(key=lambda one: one.verification.created_at, reverse=True)
        held = self._beyond_the_number([client.name for client in self.config.clients], to)
        now = now or held.now
        refusing_all = [*held.hindrances, *hindrances.values(), *_of(now, found)]
        return Trail(now, to.mask, found, refusing_all, held.unknown)

    def _origin(self, client: str, partition: int, recipient: str, prefix: str) -> Origin:
        return Origin(client, partition, recipient, self.keyring.owner(client, recipient), prefix)

    def _traced(self, client: str, id: str) -> Traced:
        return Traced(client, self.verifier.get(Client(client, frozenset()), id))

    def _hindrances(self, origin: Origin) -> tuple[int, list[Hindrance]]:
        rules = self.config.rules()
        now, found = self.operations.hindrances(origin, recipient_limits(self.config))
        ordering = {f"channel:{rule.name}" for rule in rules.channels if not rule.strict}
        return now, [
            replace(one, detail=f"{one.detail}; it is asked after the others") if one.limit in ordering else one
            for one in found
        ]

    def _beyond_the_number(self, clients: Sequence[str], to: Recipient | None) -> FullLimits:
        """`to` is None once its verification has ended: what is of its country is not known then."""
        full = self.operations.full(list(common_limits(self.config.rules(), clients, to)))
        if to is None:
            return full
        try:
            return replace(full, hindrances=[*self._held(clients, to), *full.hindrances])
        except StoreDown:
            return replace(full, unknown=["pauses of sends and channels", *full.unknown])

    def _held(self, clients: Sequence[str], to: Recipient) -> Iterator[Hindrance]:
        """An operator's pause, of all sends or of this number's, and where every channel is paused or out of order."""
        sky = self.store.sky([channel.name for channel in self.config.channels])
        if until := sky.pauses.until(sky.now, to.e164, to.region):
            yield Hindrance("paused", until, detail="by an operator; `otp-service status` says by whom")
        rules = self.config.rules().channels
        for client in (one for one in self.config.clients if one.name in clients):
            blocked = {
                purpose: until
                for purpose in client.purposes
                if (until := blocked_until(eligible(rules, client.name, purpose, to), sky, sky.now))
            }
            if blocked:
                detail = f"every channel of {', '.join(blocked)} is out of order or paused; see `otp-service status`"
                yield Hindrance("channels", min(blocked.values()), client.name, detail)


def _not_served(rules: Rules, client: Client, to: Recipient) -> Iterator[Hindrance]:
    """What the configuration refuses, whatever was counted."""
    admission = Admission(rules)
    for purpose in sorted(client.purposes):
        try:
            asked = StartRequest(to.e164, purpose)
            admission.route(client.name, purpose, admission.start(replace(client, require=frozenset()), asked), None)
        except RecipientBlocked as refused:
            yield Hindrance("recipient_blocked", 0, client.name, refused.detail)
            return
        except Problem:
            continue


def _of(now: int, found: Sequence[Traced]) -> Iterator[Hindrance]:
    """What the verifications themselves refuse: the cooldown of their four, and sends that are used up."""
    cooled = set()
    for one in found:
        shown = one.verification
        detail = f"{shown.purpose}, {shown.id}"
        if shown.resend_at > now and (one.client, shown.purpose) not in cooled:
            cooled.add((one.client, shown.purpose))
            yield Hindrance("cooldown", shown.resend_at, one.client, detail)
        if shown.status is Status.PENDING and not shown.sends_left:
            until = shown.expires_at - MIN_LIFE_TO_RESEND_MS
            if until > now:
                yield Hindrance("sends", until, one.client, detail)


# --- metrics ----------------------------------------------------------------------------------------------------------


def levels(config: Config) -> Callable[[], Sequence[Level]]:
    """What stands in Redis at a scrape, for `metrics.Levels`; nothing while Redis is down."""
    client: redis.Redis = store.connect(config.redis.url.get_secret_value())
    asked = store.RedisOperations(client, config.redis.prefix)
    names = [channel.name for channel in config.channels]

    def ask() -> Sequence[Level]:
        try:
            return list(_levels(asked.look(names)))
        except StoreDown:
            return ()

    return ask


def _levels(seen: Installation) -> Iterator[Level]:
    if not seen.unknown:  # of a part, each would be too few
        yield Level("otp_queue_depth", seen.queue.depth)
        yield Level("otp_queue_oldest_seconds", seen.queue.oldest_ms / 1000)
        yield Level("otp_queue_later", seen.queue.later)
        yield Level("otp_dead_letters", seen.queue.dead)
        yield Level("otp_workers", len(seen.workers))
    for channel in seen.channels:
        yield Level("otp_channel_open", int(channel.standing.is_open), channel.name)
        with suppress(ValueError):  # not every gateway says it as a number
            yield Level("otp_channel_balance", float(channel.balance), channel.name)
