"""A check: what it is held against, and what its refusals mean."""

from __future__ import annotations

from otp_service import snapshot
from otp_service.brake import Brake
from otp_service.calls import CheckRequest
from otp_service.codes import invalid_code
from otp_service.errors import FieldError, InvalidRequest, Problem
from otp_service.guard import Guard
from otp_service.idempotency import Done
from otp_service.keyring import Keyring, VerificationId
from otp_service.policy import Client, Limits, window_terms
from otp_service.ports import Approval, Attempt, Disabled, OtherLength, Refused, Row, Store, Unbound
from otp_service.records import bindings_of
from otp_service.verification import Verification


class Checking:
    def __init__(self, store: Store, keyring: Keyring, limits: Limits, guard: Guard, brake: Brake) -> None:
        self._guard = guard
        self._store = store
        self._keyring = keyring
        self._windows = window_terms(limits.failures)
        self._disable_after = limits.disable_after
        self._brake = brake

    def attempt(
        self, client: Client, id: VerificationId, request: CheckRequest, code: str, to: str | None, nonce: str
    ) -> Done:
        attempt = Attempt(
            id=id,
            client=client.name,
            owner=self._keyring.owner(client.name, id.recipient),
            nonce=nonce,
            windows=self._windows,
            disable_after=self._disable_after,
            device="" if request.device is None else self._keyring.device(client.name, request.device),
            purpose=request.purpose or "",
            bindings=bindings_of(request.session, request.context),
            code_length=len(code),
            braked=self._brake.left(client.name),
            # The store takes an empty purpose for one that was not said.
            wrong=request.purpose == "" or (to is not None and self._keyring.recipient(to) != id.recipient),
            digests=[(kid, self._digest(kid, client, id, request, code)) for kid in self._keyring.kids],
            guard=self._guard.approval_terms(),
        )
        result = self._store.check(attempt)
        if not isinstance(result, Row):
            raise self._refusal(id, request, result)
        if isinstance(result.guard, Approval):
            self._guard.approved(result.guard)
        done = Done(id.text, result)
        if result.result == "mismatch":
            if result.attempts == 1:
                self._brake.failed(client.name)
            return done
        if result.token == nonce:
            self._brake.approved(client.name)
            return done
        raise snapshot.ended(snapshot.verification(self._keyring, id.text, done.row))

    def _refusal(
        self, id: VerificationId, request: CheckRequest, result: Unbound | OtherLength | Refused | Disabled
    ) -> Problem:
        if isinstance(result, Refused):
            return snapshot.rate_limited(self._keyring, id.text, result)
        if isinstance(result, Disabled):
            return snapshot.disabled(self._keyring, id.text, result)
        seen = snapshot.verification(self._keyring, id.text, result.row)
        if isinstance(result, OtherLength):
            return invalid_code(f"the code has {seen.code_length} digits", seen)
        return _unbound(result.bindings, request, seen)

    def _digest(self, kid: str, client: Client, id: VerificationId, request: CheckRequest, code: str) -> bytes:
        binding = self._keyring.binding(kid, id.text, client.name, request.session, request.context)
        return self._keyring.digest(kid, binding, code)


def _unbound(bindings: str, request: CheckRequest, seen: Verification) -> InvalidRequest:
    """Which of session and context the start had and the check lacks, or the reverse."""
    errors = []
    for letter, name, given in (("s", "session", request.session), ("c", "context", request.context)):
        if letter in bindings and given is None:
            errors.append(FieldError(f"/{name}", f"this verification was started with a {name}; say it here too"))
        elif letter not in bindings and given is not None:
            errors.append(FieldError(f"/{name}", f"this verification was started without a {name}; leave it out"))
    return InvalidRequest("The check must name what the start named.", errors=errors, verification=seen)
