"""What a send counts for beside its recipient: buckets on other partitions, charged before it is asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from otp_service.calls import StartRequest
from otp_service.errors import OtpServiceError
from otp_service.keyring import Keyring
from otp_service.policy import Client, Rules, window_terms
from otp_service.ports import Bucket, Charge, CommonLimit, Prior, Store, StoreDown, TurnedAway
from otp_service.recipient import Recipient

EVERYTHING = "all"
_NOTHING = nullcontext(Prior())


class Charging:
    """Counted first and given back on a refusal: for a moment a bucket may hold too many, never too few."""

    def __init__(self, store: Store, keyring: Keyring, rules: Rules) -> None:
        self._store = store
        self._keyring = keyring
        self._spend = rules.spend
        limits = rules.limits
        named = {
            "session": limits.session,
            "client_ip": limits.client_ip,
            "device": limits.device,
            "country": limits.country,
            "client": limits.client,
            "installation": limits.installation,
        }
        self._windows = {limit: window_terms(windows) for limit, windows in named.items() if windows}

    def buckets(self, client: Client, request: StartRequest, to: Recipient) -> tuple[Bucket, ...]:
        """Of those that have a limit, the ones that this start and its resends count for."""
        return tuple(Bucket(limit, name) for limit in self._windows if (name := self._name(limit, client, request, to)))

    def charged(
        self, client: Client, to: Recipient, parts: int, buckets: Sequence[Bucket], nonce: str
    ) -> AbstractContextManager[Prior]:
        """Count one send; the refusal that stands already, if there is no room. Whatever refuses gives it back."""
        charges = [
            *(Charge(one, self._windows[one.limit]) for one in buckets if one.limit in self._windows),
            *self._spending(client, self._spend.price(to.region) * parts),
        ]
        return self._charged(charges, nonce) if charges else _NOTHING

    @contextmanager
    def _charged(self, charges: Sequence[Charge], nonce: str) -> Iterator[Prior]:
        try:
            yield self._store.charge(charges, nonce)
        except (OtpServiceError, TurnedAway):
            # Over-counting is allowed, hiding the refusal behind a lost refund is not.
            with suppress(StoreDown):
                self._store.refund(charges, nonce)
            raise

    def _spending(self, client: Client, price: int) -> Iterator[Charge]:
        if not price:
            return
        if (cap := self._spend.cap(client.name)) is not None:
            yield Charge(Bucket("client", client.name), cap=cap, price=price)
        if (cap := self._spend.installation) is not None:
            yield Charge(Bucket("installation", EVERYTHING), cap=cap, price=price)

    def _name(self, limit: str, client: Client, request: StartRequest, to: Recipient) -> str:
        """Callers' own words are known by a keyed hash, each client's apart; "" for what was not said."""
        match limit:
            case "session" if request.session is not None:
                return self._keyring.bucket(limit, client.name, request.session)
            case "device" if request.device is not None:
                return self._keyring.bucket(limit, client.name, request.device)
            case "client_ip" if request.client_ip:
                return self._keyring.bucket(limit, network_of(request.client_ip))
            case "country":
                return to.region
            case "client":
                return client.name
            case "installation":
                return EVERYTHING
        return ""


def common_limits(rules: Rules, clients: Iterable[str], to: Recipient | None = None) -> Iterator[CommonLimit]:
    """What stands against these clients' sends whoever receives them, and against those to the country of `to`."""
    limits, spend = rules.limits, rules.spend
    # Without a number, the cheapest send: a cap is full when not even that has room.
    price = spend.price(to.region) if to else min(filter(None, spend.prices.values()), default=0)
    for name in clients:
        yield CommonLimit("client", name, name, limits.client, spend.cap(name), price, braked=limits.spray_brake)
    yield CommonLimit("installation", EVERYTHING, "", limits.installation, spend.installation, price)
    if to:
        yield CommonLimit("country", to.region, "", limits.country)


def network_of(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one (one household's); IPv4-mapped counts as IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)
