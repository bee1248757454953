"""What is held on a number, over all configured clients, and its erasure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from otp_service import snapshot, store
from otp_service.config import Config
from otp_service.errors import Problem
from otp_service.policy import Client
from otp_service.ports import Erased, HeldVerification, Holding, PersonalData, StoreDown, Subject
from otp_service.recipient import parse as parse_recipient
from otp_service.verification import Try, Verification
from otp_service.verifier import Verifier
from otp_service.wiring.api import build_keyring


@dataclass(frozen=True, slots=True)
class Exported:
    """One verification with all that is held of it."""

    held: HeldVerification
    verification: Verification | None
    """None where only tries are left, or where the record's secret key is no longer configured."""
    tries: Sequence[Try]


@dataclass(frozen=True, slots=True)
class Dossier:
    now: int
    to: str
    """Masked: who asks for it knows the number."""
    verifications: Sequence[Exported]
    """Newest first."""
    holdings: Sequence[Holding]
    unknown: Sequence[str] = ()
    """As that of `Held`: where there is something, the dossier is not whole."""


def export_recipient(config: Config, number: str) -> Dossier:
    """Raises InvalidRecipient, StoreDown."""
    with _Desk.of(config) as desk:
        held = desk.data.held(desk.subject(number))
        exported = sorted(map(desk.exported, held.verifications), key=_age, reverse=True)
        return Dossier(held.now, desk.mask(number), exported, held.holdings, held.unknown)


def erase_recipient(config: Config, number: str, also_limits: bool) -> Erased:
    """As `PersonalData.erase`. Raises InvalidRecipient as well."""
    with _Desk.of(config) as desk:
        return desk.data.erase(desk.subject(number), also_limits)


def suppress_recipient(config: Config, number: str, clients: Sequence[str], lift: bool = False) -> None:
    """Send nothing more to this number, or send again, for these clients. Raises InvalidRecipient, StoreDown."""
    with _Desk.of(config) as desk:
        subject = desk.subject(number)
        for name in clients:
            desk.store.suppress(subject.partition, subject.owners[name], lift)


@dataclass(frozen=True, slots=True)
class _Desk:
    config: Config
    data: PersonalData
    store: store.RedisStore
    verifier: Verifier

    @classmethod
    @contextmanager
    def of(cls, config: Config) -> Iterator[_Desk]:
        client, keyring = store.connect(config.redis.url.get_secret_value()), build_keyring(config)
        scripts, prefix = store.retaining(config.retention.domain(), config.redis.fence), config.redis.prefix
        channels = [channel.name for channel in config.channels]
        webhooks = [webhook.domain() for webhook in config.webhooks]
        data = store.RedisPersonalData(client, keyring, prefix, channels, webhooks, scripts)
        kept = store.RedisStore(client, prefix, scripts)
        try:
            yield cls(config, data, kept, Verifier(kept, keyring, config.rules()))
        finally:
            client.close()

    def subject(self, number: str) -> Subject:
        to, keyring = parse_recipient(number, self.config.service.default_region), build_keyring(self.config)
        recipient = keyring.recipient(to.e164)
        owners = {client.name: keyring.owner(client.name, recipient) for client in self.config.clients}
        scopes = {
            scope: client.name
            for client in self.config.clients
            for scope in keyring.scopes(client.name, self.config.rules().policies, to.e164)
        }
        return Subject(keyring.partition(to.prefix), recipient, owners, scopes)

    def mask(self, number: str) -> str:
        return parse_recipient(number, self.config.service.default_region).mask

    def exported(self, held: HeldVerification) -> Exported:
        tries = tuple(snapshot.tried(said) for said in held.tries)
        try:
            return Exported(held, self.verifier.get(Client(held.client, frozenset()), held.id), tries)
        except Problem as problem:
            if isinstance(problem.__cause__, StoreDown):
                raise problem.__cause__ from None
            return Exported(held, None, tries)


def _age(one: Exported) -> int:
    """When it began, as far as that is known."""
    if one.verification:
        return one.verification.created_at
    return min((tried.at for tried in one.tries), default=0)
