"""A send: the limits it is held against, and its way into the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from otp_service import base64url, codes, recipient, snapshot
from otp_service.admission import Admission
from otp_service.availability import Availability
from otp_service.calls import Asking, ResendRequest, StartRequest
from otp_service.challenge import Challenge, Suspect, nobody, unverifiable
from otp_service.charging import Charging
from otp_service.errors import RecipientBlocked, Unavailable, UnknownPurpose
from otp_service.guard import Guard
from otp_service.idempotency import Done
from otp_service.keyring import Keyring, VerificationId
from otp_service.policy import Client, Policy, Rules, TestNumber, window_terms
from otp_service.ports import (
    Bucket,
    Disabled,
    Guarded,
    Missing,
    Moved,
    NewRecord,
    Prior,
    Refused,
    Row,
    SendTerms,
    Sent,
    Store,
    StoreDown,
    Suspicious,
    View,
)
from otp_service.pumping import Level
from otp_service.recipient import Recipient
from otp_service.records import Records
from otp_service.routes import ChannelRule
from otp_service.verification import Delivery

MAX_WAIT_SECONDS = 5.0
"""RFC 7240 §4.3 leaves the bound of `Prefer: wait` to the server."""

_NO_END = 1_000_000
"""Sends to a test number: as many as anybody asks for."""
_MOVES = 8
"""How often a send follows a pending verification that others move under it before it gives up."""


class Sending:
    """Start and resend, below the judgement of what may be sent at all."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        rules: Rules,
        admission: Admission,
        guard: Guard,
        challenge: Challenge | None = None,
        suspect: Suspect = nobody,
    ) -> None:
        self._store = store
        self._admission = admission
        self._guard = guard
        self._challenge = challenge.check if challenge else unverifiable
        self._excuse = challenge.check if challenge else None
        self._suspect = suspect
        self._availability = Availability(store, rules.channels)
        self._keyring = keyring
        self._rules = rules
        self._records = Records(keyring, rules)
        self._charging = Charging(store, keyring, rules)
        self._recipient_windows = window_terms(rules.limits.recipient)
        self._prefix_windows = window_terms(rules.limits.prefix)
        self._channel_windows = {rule.name: window_terms(rule.recipient_windows) for rule in rules.channels}

    def start(self, client: Client, request: StartRequest, to: Recipient, nonce: str) -> Done:
        """A new verification, or the pending one sent again. Raises RateLimited, Unavailable."""
        policy = self._rules.policies[request.purpose]
        test = self._test_number(to.e164)
        if test:
            self._still_a_test(test)
        id = self._keyring.new_id(to.e164, to.prefix, base64url.decode(nonce))
        route = self._route(client.name, request.purpose, to, request.channel)
        if not test:
            self._challenge(client, request, nonce, self._suspect(client, to))
        buckets = () if test else self._charging.buckets(client, request, to)
        record = self._records.new(id, client, request, to, buckets)
        device = str(record.fields.get("device", ""))
        guard = None if test else self._guard.terms(to, id.prefix)
        terms = self._terms(client, id, policy, nonce, test, route, request.asking)._replace(
            channel=request.channel or "", device=device, guard=guard
        )
        with self._charged(client, test, to, policy, buckets, nonce) as prior:
            done = self._follow(id, client, request, to, record, _held_by(terms, prior))
        return self._awaited(client, done, request.asking.wait)

    def _follow(
        self,
        id: VerificationId,
        client: Client,
        request: StartRequest,
        to: Recipient,
        record: NewRecord,
        terms: SendTerms,
    ) -> Done:
        current: VerificationId | None = None
        policy = self._rules.policies[request.purpose]
        for _ in range(_MOVES):
            if current and policy.resend == "rotate":
                terms = self._rotate_current(current, client, terms)
            result = self._noted(to, self._store.start(record, current, terms))
            if isinstance(result, Suspicious):
                terms = self._excused(client, request, terms, result)
                continue
            if not isinstance(result, Moved):
                pending = not isinstance(result, Row) or result.result == "resent"
                return self._done(current if current and pending else id, result)
            current = self._keyring.parse_id(result.current)
        raise _contended()

    def resend(self, client: Client, id: VerificationId, request: ResendRequest, nonce: str) -> Done:
        """The verification sent again. Raises Ended, Missing, RateLimited, Unavailable."""
        for _ in range(_MOVES):
            view = self._store.view(id, client.name)
            with snapshot.about(self._keyring, id.text, view.row):
                # An ended one has no number left, and is asked all the same: this very request may have sent it before.
                to = self._keyring.unseal(view.row.kid, id.text, "to", view.to) if view.to else ""
                policy = self._rules.policies.get(view.row.purpose)
                if policy is None:
                    raise UnknownPurpose("The purpose of this verification is no longer configured.")
                channel = request.channel or ("" if request.exclude_last else view.channel)
                number, test = recipient.parse(to, "") if to else None, self._test_number(to)
                route = self._route(client.name, view.row.purpose, number, channel) if number else ()
                terms = self._terms(client, id, policy, nonce, test, route, request.asking)
                terms = terms._replace(channel=channel, device=view.device)
                if number and not test:
                    terms = terms._replace(guard=self._guard.terms(number, id.prefix, of_pending=True))
                if request.exclude_last:
                    terms = terms._replace(avoid=_last_channel(view))
                if policy.resend == "rotate":
                    terms = self._rotate(view, id, terms)
            with self._charged(client, test, number, policy, view.buckets, nonce) as prior:
                result = self._store.resend(id, client.name, view.scope, _held_by(terms, prior))
                result = self._noted(number, result) if number else result
                if not isinstance(result, Moved):
                    return self._awaited(client, self._resent(id, result), request.asking.wait)
        raise _contended()

    def _charged(
        self,
        client: Client,
        test: TestNumber | None,
        to: Recipient | None,
        policy: Policy,
        buckets: Sequence[Bucket],
        nonce: str,
    ) -> AbstractContextManager[Prior]:
        """Nothing for a test number, nor for one that is over: nothing will be sent."""
        if test or to is None:
            return nullcontext(Prior())
        return self._charging.charged(client, to, policy.max_parts, buckets, nonce)

    def _route(self, client: str, purpose: str, to: Recipient, channel: str | None) -> tuple[ChannelRule, ...]:
        """The channels that may carry it. Raises Unavailable where none may be asked now."""
        route = self._admission.route(client, purpose, to, channel)
        if route:
            self._availability.check(route, to)
        return route

    def _awaited(self, client: Client, done: Done, seconds: float) -> Done:
        """The same, as it stands once the send's first try has an outcome, or after `seconds`."""
        if not seconds or done.row.delivery != Delivery.QUEUED:
            return done
        id = self._keyring.parse_id(done.id)
        if id is None:
            return done
        try:
            self._store.await_outcome(id, min(seconds, MAX_WAIT_SECONDS))
            row = self._store.view(id, client.name).row
        except StoreDown:
            return done  # it was started: that answer must not be lost
        return done._replace(row=row._replace(result=done.row.result))

    # --- what a send consists of ----------------------------------------------------------------------------------

    def _terms(
        self,
        client: Client,
        id: VerificationId,
        policy: Policy,
        nonce: str,
        test: TestNumber | None,
        route: Sequence[ChannelRule],
        asking: Asking,
    ) -> SendTerms:
        """A test number costs nothing and reaches nobody: no cooldown, no window."""
        refusing = route if all(rule.strict for rule in route) else ()
        return SendTerms(
            nonce=nonce,
            owner=self._keyring.owner(client.name, id.recipient),
            windows="" if test else self._recipient_windows,
            prefix_windows="" if test else self._prefix_windows,
            disable_after=self._rules.limits.disable_after,
            cooldowns="0" if test else _cooldowns(policy.cooldown),
            max_sends=_NO_END if test else policy.max_sends,
            outbox_max=self._rules.outbox_max,
            queue=test is None,
            route=tuple([rule.name for rule in route]),
            channel_windows=tuple([(rule.name, self._channel_windows[rule.name]) for rule in refusing]),
            request_id=asking.request_id,
            wait=asking.wait > 0,
        )

    def _rotate_current(self, current: VerificationId, client: Client, terms: SendTerms) -> SendTerms:
        try:
            return self._rotate(self._store.view(current, client.name), current, terms)
        except Missing:
            return terms  # only its name is left, for the cooldown

    def _rotate(self, view: View, id: VerificationId, terms: SendTerms) -> SendTerms:
        """The next code's digest; nothing where there is no code: an ended one, a test number.

        For `deliver: false` it is of a binding that nobody knows, as the first: the same work, and no code is right.
        """
        if view.seed is None or view.binding is None or view.row.test:
            return terms
        binding = view.binding if view.deliver else codes.new_seed()
        kid, counter = view.row.kid, view.counter + 1
        code = self._keyring.code(kid, id.text, view.seed, counter, view.row.code_length)
        return terms._replace(rotated=(counter, self._keyring.digest(kid, binding, code)))

    def _test_number(self, e164: str) -> TestNumber | None:
        return self._rules.test_numbers.get(e164)

    def _still_a_test(self, test: TestNumber) -> None:
        """After its last day (UTC) a test number is refused: it may be somebody's, and its code is known to many."""
        if datetime.fromtimestamp(self._store.now() / 1000, UTC).date() > test.until:
            raise RecipientBlocked("This test number has come to its end date; the setting is test_numbers.until.")

    # --- the outcome ----------------------------------------------------------------------------------------------

    def _excused(self, client: Client, request: StartRequest, terms: SendTerms, suspicious: Suspicious) -> SendTerms:
        """The terms for a person who was seen behind a start. Raises what asks for that, or RateLimited."""
        guarded = suspicious.guarded
        if self._excuse is None or terms.guard is None:
            level = guarded.level if guarded and guarded.level else Level.PREFIX
            raise snapshot.rate_limited(self._keyring, "", Refused(level, suspicious.wait, None))
        self._excuse(client, request, terms.nonce, guarded.reason if guarded and guarded.reason else "")
        return terms._replace(guard=replace(terms.guard, excused=True))

    def _noted(self, to: Recipient, result: Sent) -> Sent:
        """The same, after the guard was told what the store made of a send."""
        if isinstance(result, Suspicious):
            self._guard.sent(to, result.guarded)
        elif isinstance(result, Refused) and result.guard:
            self._guard.sent(to, result.guard)
        elif isinstance(result, Row) and isinstance(result.guard, Guarded):
            self._guard.sent(to, result.guard, result.expires)
        return result

    def _done(self, id: VerificationId, result: Row | Refused | Disabled) -> Done:
        if isinstance(result, Refused):
            raise snapshot.rate_limited(self._keyring, id.text, result)
        if isinstance(result, Disabled):
            raise snapshot.disabled(self._keyring, id.text, result)
        return Done(id.text, result)

    def _resent(self, id: VerificationId, result: Row | Refused | Disabled | Suspicious) -> Done:
        assert not isinstance(result, Suspicious), "of a resend the guard asks nothing: `of_pending`"
        done = self._done(id, result)
        if done.row.result != "resent":
            raise snapshot.ended(snapshot.verification(self._keyring, id.text, done.row))
        return done


@lru_cache(maxsize=256)
def _cooldowns(seconds: tuple[int, ...]) -> str:
    """In milliseconds."""
    return " ".join(str(one * 1000) for one in seconds)


def _held_by(terms: SendTerms, prior: Prior) -> SendTerms:
    return terms._replace(prior=prior) if prior.wait else terms


def _last_channel(view: View) -> str:
    return view.tries[-1]["channel"] if view.tries else ""


def _contended() -> Unavailable:
    return Unavailable("Others are starting the same verification at this moment; try again.", retry_after=1)
