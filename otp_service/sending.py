"""A send: the record it makes, the limits it is held against, and its way into the outbox."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from otp_service import codes, recipient, snapshot, tokens
from otp_service.admission import Admission
from otp_service.availability import Availability
from otp_service.calls import Asking, ResendRequest, StartRequest
from otp_service.errors import OtpServiceError, RecipientBlocked, Unavailable, UnknownPurpose
from otp_service.idempotency import Done
from otp_service.keyring import Keyring, VerificationId
from otp_service.policy import EVERYBODY, Client, Policy, Rules, TestNumber, Window
from otp_service.ports import (
    Full,
    Missing,
    Moved,
    NewRecord,
    Prior,
    Refused,
    Row,
    SendTerms,
    Store,
    StoreDown,
    Suppressed,
    View,
)
from otp_service.recipient import Recipient
from otp_service.routes import ChannelRule
from otp_service.verification import Delivery

MAX_WAIT_SECONDS = 5.0
"""RFC 7240 §4.3 leaves the bound of `Prefer: wait` to the server."""

_MOVES = 8
"""How often a send follows a pending verification that others move under it before it gives up."""


def window_terms(windows: Iterable[Window]) -> str:
    """Windows as the scripts read them: `5/3600000 10/86400000`."""
    return " ".join(f"{window.count}/{window.seconds * 1000}" for window in windows)


class Sending:
    """Start and resend, below the judgement of what may be sent at all."""

    def __init__(self, store: Store, keyring: Keyring, rules: Rules, admission: Admission) -> None:
        self._store = store
        self._admission = admission
        self._availability = Availability(store, rules.channels)
        self._keyring = keyring
        self._rules = rules
        self._recipient_windows = window_terms(rules.limits.recipient)
        self._client_ip_windows = window_terms(rules.limits.client_ip)

    def start(self, client: Client, request: StartRequest, to: Recipient, nonce: str) -> Done:
        """A new verification, or the pending one sent again. Raises RateLimited, Unavailable."""
        policy = self._rules.policies[request.purpose]
        test = self._test_number(to.e164)
        if test:
            self._still_a_test(test)
        id = self._keyring.new_id(client.name, to.e164, to.prefix, base64.urlsafe_b64decode(nonce))
        route = self._route(client.name, request.purpose, to, request.channel)
        record = self._record(id, client, request, to, policy, test)
        terms = self._terms(policy, to.e164, nonce, test, route)
        terms = replace(terms, channel=request.channel or "", **_asked(request.asking))
        with self._charged(record.fields["ip"], nonce) as prior:
            done = self._follow(id, client, record, policy, replace(terms, prior=prior))
        return self._awaited(client, done, request.asking.wait)

    def _follow(self, id: VerificationId, client: Client, record: NewRecord, policy: Policy, terms: SendTerms) -> Done:
        current: VerificationId | None = None
        for _ in range(_MOVES):
            if current and policy.resend == "rotate":
                terms = self._rotate_current(current, client, terms)
            result = self._store.start(record, current, terms)
            if not isinstance(result, Moved):
                pending = isinstance(result, Refused) or result.result == "resent"
                return self._done(current if current and pending else id, result)
            current = self._keyring.parse_id(result.current)
        raise _contended()

    def resend(self, client: Client, id: VerificationId, request: ResendRequest, nonce: str) -> Done:
        """The verification sent again. Raises Ended, Missing, RateLimited, Unavailable."""
        for _ in range(_MOVES):
            view = self._store.view(id, client.name)
            # An ended one has no number left, and is asked all the same: this very request may have sent it before.
            to = self._keyring.unseal(view.row.kid, id.text, "to", view.to) if view.to else ""
            policy = self._rules.policies.get(view.row.purpose)
            if policy is None:
                raise UnknownPurpose("The purpose of this verification is no longer configured.")
            channel = request.channel or ("" if request.exclude_last else view.channel)
            route = self._route(client.name, view.row.purpose, recipient.parse(to, ""), channel) if to else ()
            terms = self._terms(policy, to, nonce, self._test_number(to), route)
            terms = replace(terms, channel=channel, **_asked(request.asking))
            if request.exclude_last:
                terms = replace(terms, avoid=_last_channel(view))
            if policy.resend == "rotate":
                terms = self._rotate(view, id, terms)
            with self._charged(view.client_ip, nonce) as prior:
                result = self._store.resend(id, client.name, view.scope, replace(terms, prior=prior))
                if not isinstance(result, Moved):
                    return self._awaited(client, self._resent(id, result), request.asking.wait)
        raise _contended()

    def _route(self, client: str, purpose: str, to: Recipient, channel: str | None) -> tuple[ChannelRule, ...]:
        """The channels that may carry it. Raises Unavailable where none may be asked now."""
        route = self._admission.route(client, purpose, to, channel)
        if route:
            self._availability.check(route, to)
        return route

    def _awaited(self, client: Client, done: Done, seconds: float) -> Done:
        """The same, as it stands once the send's first try has an outcome, or after `seconds`."""
        id = self._keyring.parse_id(done.id)
        if not seconds or id is None or done.row.delivery != Delivery.QUEUED:
            return done
        try:
            self._store.await_outcome(id, min(seconds, MAX_WAIT_SECONDS))
            row = self._store.view(id, client.name).row
        except StoreDown:
            return done  # it was started: that answer must not be lost
        return replace(done, row=replace(row, result=done.row.result))

    # --- what a send consists of ----------------------------------------------------------------------------------

    def _record(
        self,
        id: VerificationId,
        client: Client,
        request: StartRequest,
        to: Recipient,
        policy: Policy,
        test: TestNumber | None,
    ) -> NewRecord:
        keyring, kid = self._keyring, self._keyring.current
        scope = keyring.scope(client.name, request.purpose, to.e164, request.session)
        fields: dict[str, str | bytes | int] = {
            "client": client.name,
            "purpose": request.purpose,
            "kid": kid,
            "scope": scope,
            "who": keyring.recipient(to.e164),
            "ip": keyring.client_ip(network_of(request.client_ip)) if request.client_ip and not test else "",
            "bindings": bindings_of(request.session, request.context),
            "to": keyring.seal(kid, id.text, "to", to.e164),
            "mask": keyring.seal(kid, id.text, "mask", to.mask),
            "bound_to": tokens.bind(keyring.token_key(kid, client.name, request.purpose), "to", to.e164) or "",
            "locale": request.locale or policy.locale,
            "max_attempts": policy.max_attempts,
            "max_sends": policy.max_sends,
            "token_ttl": policy.token_ttl,
            **self._code_fields(id, client, request, policy, test),
        }
        if not self._rules.listened.isdisjoint({client.name, EVERYBODY}):
            fields["listen"] = 1
        if request.metadata:
            fields["metadata"] = keyring.seal(kid, id.text, "metadata", json.dumps(dict(request.metadata)))
        context = keyring.context(request.context)
        return NewRecord(id, scope, policy.ttl * 1000, context, deliver=request.deliver, fields=fields)

    def _code_fields(
        self, id: VerificationId, client: Client, request: StartRequest, policy: Policy, test: TestNumber | None
    ) -> dict[str, str | bytes | int]:
        """What the code comes from and is known by."""
        keyring, kid, seed = self._keyring, self._keyring.current, codes.new_seed()
        binding = keyring.binding(kid, id.text, client.name, request.session, request.context)
        code = test.code if test else keyring.code(kid, id.text, seed, 0, policy.code_length)
        # `deliver: false` costs the same and looks the same, but its digest is of a binding that nobody knows.
        digest = keyring.digest(kid, binding if request.deliver else codes.new_seed(), code)
        fields: dict[str, str | bytes | int] = {"seed": seed, "code_length": len(code), "d0": digest}
        if policy.resend == "rotate":
            fields["binding"] = binding
        if test:
            fields["test"] = 1
        return fields

    def _terms(
        self, policy: Policy, to: str, nonce: str, test: TestNumber | None, route: Sequence[ChannelRule]
    ) -> SendTerms:
        """A test number costs nothing and reaches nobody: no cooldown, no window."""
        refusing = route if all(rule.strict for rule in route) else ()
        return SendTerms(
            nonce=nonce,
            recipient=self._keyring.recipient(to),
            windows="" if test else self._recipient_windows,
            cooldowns="0" if test else " ".join(str(seconds * 1000) for seconds in policy.cooldown),
            max_sends=policy.max_sends,
            outbox_max=self._rules.outbox_max,
            queue=test is None,
            route=tuple(rule.name for rule in route),
            channel_windows=tuple((rule.name, window_terms(rule.recipient_windows)) for rule in refusing),
        )

    def _rotate_current(self, current: VerificationId, client: Client, terms: SendTerms) -> SendTerms:
        try:
            return self._rotate(self._store.view(current, client.name), current, terms)
        except Missing:
            return terms  # only its name is left, for the cooldown

    def _rotate(self, view: View, id: VerificationId, terms: SendTerms) -> SendTerms:
        """The next code's digest; nothing where there is no code: an ended one, a test number, `deliver: false`."""
        if view.seed is None or view.binding is None or view.row.test or not view.deliver:
            return terms
        kid, counter = view.row.kid, view.counter + 1
        code = self._keyring.code(kid, id.text, view.seed, counter, view.row.code_length)
        return replace(terms, rotated=(counter, self._keyring.digest(kid, view.binding, code)))

    def _test_number(self, e164: str) -> TestNumber | None:
        return self._rules.test_numbers.get(e164)

    def _still_a_test(self, test: TestNumber) -> None:
        """After its last day (UTC) a test number is refused: it may be somebody's, and its code is known to many."""
        if datetime.fromtimestamp(self._store.now() / 1000, UTC).date() > test.until:
            raise RecipientBlocked("This test number has come to its end date; the setting is test_numbers.until.")

    # --- the outcome ----------------------------------------------------------------------------------------------

    def _done(self, id: VerificationId, result: Row | Refused) -> Done:
        if isinstance(result, Refused):
            raise snapshot.rate_limited(self._keyring, id.text, result)
        return Done(id.text, result)

    def _resent(self, id: VerificationId, result: Row | Refused) -> Done:
        done = self._done(id, result)
        if done.row.result != "resent":
            raise snapshot.ended(snapshot.verification(self._keyring, id.text, done.row))
        return done

    @contextmanager
    def _charged(self, address: str | bytes | int, nonce: str) -> Iterator[Prior]:
        """Count the send for its address first; a refusal gives it back. The address's window lies elsewhere."""
        name = str(address)
        if not name or not self._client_ip_windows:
            yield Prior()
            return
        wait = self._store.charge(name, self._client_ip_windows, nonce)
        try:
            yield Prior("client_ip", wait) if wait else Prior()
        except (OtpServiceError, Full, Missing, Suppressed):
            self._refund(name, nonce)
            raise

    def _refund(self, name: str, nonce: str) -> None:
        # Over-counting is allowed, hiding the refusal behind a lost refund is not.
        try:
            self._store.refund(name, nonce)
        except StoreDown:
            return


def _asked(asking: Asking) -> dict[str, Any]:
    return {"request_id": asking.request_id, "wait": asking.wait > 0}


def bindings_of(session: str | None, context: object | None) -> str:
    return ("s" if session is not None else "") + ("c" if context is not None else "")


def network_of(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one (one household's); IPv4-mapped counts as IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)


def _last_channel(view: View) -> str:
    return json.loads(view.tries[-1])["channel"] if view.tries else ""


def _contended() -> Unavailable:
    return Unavailable("Others are starting the same verification at this moment; try again.", retry_after=1)
