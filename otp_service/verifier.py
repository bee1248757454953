"""`Verifier`: start, resend, check, cancel. The only place that knows the order of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType

from otp_service import guard, snapshot, tokens
from otp_service.admission import Admission
from otp_service.audit import DONE, Act
from otp_service.brake import Brake
from otp_service.calls import (
    Checked,
    CheckRequest,
    Enabled,
    Idempotency,
    ResendRequest,
    Started,
    StartRequest,
    TokenFacts,
    TokenRequest,
)
from otp_service.challenge import Challenge, Suspect, nobody
from otp_service.checking import Checking
from otp_service.codes import normalize
from otp_service.errors import (
    CodeMismatch,
    NotFound,
    Problem,
    RecipientBlocked,
    TokenUsed,
    Unavailable,
)
from otp_service.idempotency import Done, act_once, once, refuse_other
from otp_service.keyring import Keyring, SealBroken, VerificationId
from otp_service.policy import Client, Rules
from otp_service.ports import AuditTrail, Full, Missing, Store, StoreDown, StoreFull, Suppressed
from otp_service.recipient import Recipient
from otp_service.sending import Sending
from otp_service.verification import Status, Verification, newest

__all__ = [
    "CheckRequest",
    "Checked",
    "Enabled",
    "Idempotency",
    "ResendRequest",
    "StartRequest",
    "Started",
    "TokenFacts",
    "TokenRequest",
    "Verifier",
]


class Verifier:
    """Every method raises a `Problem` when it refuses; a refused request counts nowhere."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        rules: Rules,
        challenge: Challenge | None = None,
        suspect: Suspect | None = None,
        pumping_guard: guard.Guard | None = None,
        acts: AuditTrail | None = None,
    ) -> None:
        pumping_guard = pumping_guard or guard.off(keyring)
        brake = Brake(store, active=rules.limits.spray_brake)
        suspect = suspect or (brake.suspect if challenge else nobody)
        self._rules = rules
        self._acts = acts
        self._store = store
        self._keyring = keyring
        self._admission = Admission(rules)
        self._sending = Sending(store, keyring, rules, self._admission, pumping_guard, challenge, suspect)
        self._checking = Checking(store, keyring, rules.limits, pumping_guard, brake)

    # --- start, resend, cancel ------------------------------------------------------------------------------------

    def start(self, client: Client, request: StartRequest, idempotency: Idempotency | None = None) -> Started:
        """Start a verification, or send again while one of the same client, purpose, recipient and session pends."""
        to = self._admission.start(client, request)
        with _CLOSED:
            done = self._once(client, idempotency, lambda nonce: self._sending.start(client, request, to, nonce))
            return Started(self._seen(done), created=done.row.result == "created", replayed=done.replayed)

    def resend(
        self, client: Client, verification_id: str, request: ResendRequest, idempotency: Idempotency | None = None
    ) -> Started:
        """Send the code again (`rotate`: the next one) while the verification pends."""
        self._admission.channel(request.channel)
        id = self._id(verification_id)
        with _CLOSED:
            done = self._once(client, idempotency, lambda nonce: self._sending.resend(client, id, request, nonce))
            return Started(self._seen(done), created=False, replayed=done.replayed)

    def cancel(self, client: Client, verification_id: str) -> Verification:
        """End a pending verification; one that was canceled before stays so."""
        id = self._id(verification_id)
        with _CLOSED:
            seen = self._seen(Done(id.text, self._store.cancel(id, client.name)))
        if seen.status is not Status.CANCELED:
            raise snapshot.ended(seen)
        return seen

    def get(self, client: Client, verification_id: str) -> Verification:
        """The verification with every try: for the back office, not for the person."""
        id = self._id(verification_id)
        with _CLOSED:
            view = self._store.view(id, client.name)
            return snapshot.verification(self._keyring, id.text, view.row, view.tries)

    def lookup(self, client: Client, to: str, idempotency: Idempotency | None = None) -> tuple[Verification, ...]:
        """This client's latest verifications of a recipient, ended ones included, newest first: for support."""
        number = self._admission.recipient(to)
        with _CLOSED:
            refuse_other(self._store, self._keyring, client.name, idempotency)
            scopes = self._keyring.scopes(client.name, self._rules.policies, number.e164)
            return newest(self._remembered(client, self._store.recent(*self._owned(client, number), scopes)))

    def _remembered(self, client: Client, ids: Sequence[str]) -> Iterator[Verification]:
        for id in ids:
            with suppress(NotFound):
                yield self.get(client, id)

    def enable(self, client: Client, to: str, idempotency: Idempotency | None = None) -> Enabled:
        """Lift what too many wrong codes in a row brought about for this client and recipient."""
        number = self._admission.recipient(to)
        partition, owner = self._owned(client, number)

        def enable() -> None:
            lifts = 0 < self._rules.limits.disable_after <= self._store.failed(partition, owner)
            if self._acts and lifts:
                target = f"recipient:{self._keyring.recipient(number.e164)}"
                self._acts.record_act(Act(f"client:{client.name}", "recipients.enable", target, DONE))
            self._store.enable(partition, owner)

        with _CLOSED:
            return Enabled(number.mask, act_once(self._store, self._keyring, client.name, idempotency, enable))

    def _owned(self, client: Client, number: Recipient) -> tuple[int, str]:
        """Where what is kept for this client and number lies: partition and owner."""
        owner = self._keyring.owner(client.name, self._keyring.recipient(number.e164))
        return self._keyring.partition(number.prefix), owner

    # --- check ----------------------------------------------------------------------------------------------------

    def check(
        self, client: Client, verification_id: str, request: CheckRequest, idempotency: Idempotency | None = None
    ) -> Checked:
        """Count the attempt, compare, consume: one step. Raises CodeMismatch for a wrong code, session or context."""
        id = self._id(verification_id)
        code = normalize(request.code)
        to = self._admission.recipient(request.to).e164 if request.to is not None else None

        def transition(nonce: str) -> Done:
            return self._checking.attempt(client, id, request, code, to, nonce)

        with _CLOSED:
            done = self._once(client, idempotency, transition)
            return self._checked(client, request, done)

    def check_by_recipient(
        self, client: Client, request: CheckRequest, idempotency: Idempotency | None = None
    ) -> Checked:
        """`check` for the latest verification of exactly this client, purpose, recipient and session."""
        purpose = request.purpose or ""
        self._admission.purpose(client, purpose)
        code = normalize(request.code)
        to = self._admission.recipient(request.to or "")
        scope = self._keyring.scope(client.name, purpose, to.e164, request.session)

        def transition(nonce: str) -> Done:
            id = self._id(self._store.latest(self._keyring.partition(to.prefix), scope))
            return self._checking.attempt(client, id, request, code, to.e164, nonce)

        with _CLOSED:
            done = self._once(client, idempotency, transition)
            return self._checked(client, request, done)

    def _checked(self, client: Client, request: CheckRequest, done: Done) -> Checked:
        seen = self._seen(done)
        if done.row.result == "mismatch":
            left = seen.attempts_left
            detail = f"The code is wrong; attempts left: {left}."
            raise CodeMismatch(detail, verification=seen, replayed=done.replayed)
        return Checked(seen, self._token(client, request, done), replayed=done.replayed)

    # --- tokens ---------------------------------------------------------------------------------------------------

    def _token(self, client: Client, request: CheckRequest, done: Done) -> str:
        row = done.row
        key = self._keyring.token_key(row.kid, client.name, row.purpose)
        approved_at = (row.approved or row.now) // 1000
        token = tokens.Token(
            id=row.token or "",
            verification_id=done.id,
            to=row.bound_to,
            session=tokens.bind(key, "session", request.session),
            context=tokens.bind(key, "context", request.context),
            approved_at=approved_at,
            expires_at=approved_at + row.token_ttl,
        )
        return tokens.mint(row.kid, key, token)

    def verify_token(self, client: Client, request: TokenRequest, idempotency: Idempotency | None = None) -> TokenFacts:
        """Is this token genuine, and for this client, purpose, recipient, session and context; use it up if asked."""
        self._admission.purpose(client, request.purpose)
        to = self._admission.recipient(request.to)

        def transition(nonce: str) -> Done:
            kid = tokens.kid_of(request.token)
            if kid not in self._keyring.kids:
                raise tokens.invalid()
            key = self._keyring.token_key(kid, client.name, request.purpose)
            now = self._store.now() // 1000
            token = tokens.read(request.token, key, now)
            bound = (tokens.bind(key, "session", request.session), tokens.bind(key, "context", request.context))
            id = self._keyring.parse_id(token.verification_id)
            if id is None or (token.to, token.session, token.context) != (tokens.bind(key, "to", to.e164), *bound):
                raise tokens.invalid()
            tokens.refuse_expired(token, now)
            try:
                row = self._store.use_token(id, client.name, token.id, nonce, request.consume)
            except Missing:
                raise tokens.invalid() from None
            if row is None:
                raise TokenUsed("The token was used before; one token is good for one act.")
            return Done(id.text, row)

        with _CLOSED:
            done = self._once(client, idempotency, transition)
            seen = self._seen(done)
        approved_at = (done.row.approved or 0) // 1000 * 1000
        expires_at = approved_at + done.row.token_ttl * 1000
        return TokenFacts(done.id, done.row.purpose, approved_at, expires_at, seen.metadata, done.replayed)

    # --- what every call needs -----------------------------------------------------------------------------------

    def _once(self, client: Client, idempotency: Idempotency | None, transition: Callable[[str], Done]) -> Done:
        return once(self._store, self._keyring, client.name, idempotency, transition)

    def _id(self, text: str) -> VerificationId:
        id = self._keyring.parse_id(text)
        if id is None:
            raise _not_found()
        return id

    def _seen(self, done: Done) -> Verification:
        return snapshot.verification(self._keyring, done.id, done.row)

    def store_is_up(self) -> bool:
        try:
            self._store.now()
        except StoreDown:
            return False
        return True


class _Closed:
    """What we can't know, we refuse. Written out, as a generator's context costs as much as a small script in Redis."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None or isinstance(error, Problem):
            return
        match error:
            case Missing():
                raise _not_found() from None
            case StoreFull():
                detail = "The store has no room for new verifications; try again later."
                raise Unavailable(detail, retry_after=5) from error
            case StoreDown():
                detail = "The store did not confirm it; whether this request counted is not known."
                raise Unavailable(detail, retry_after=2) from error
            case Suppressed():
                detail = (
                    "The person behind this number, or an operator, asked that it get no more messages; the list is "
                    "the suppression list."
                )
                raise RecipientBlocked(detail) from error
            case Full():
                raise Unavailable(
                    "Too many messages are waiting to be sent; try again later.", retry_after=5
                ) from error
            case SealBroken():
                detail = "A secret key that this verification needs is not configured here."
                raise Unavailable(detail, retry_after=60) from error


_CLOSED = _Closed()


def _not_found() -> NotFound:
    return NotFound("There is no such verification.")
