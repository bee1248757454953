"""What a new verification writes down of itself. Only what is set here can ever be at rest."""

from __future__ import annotations

import json
from collections.abc import Sequence

from otp_service import codes, tokens
from otp_service.calls import StartRequest
from otp_service.keyring import Keyring, VerificationId
from otp_service.policy import EVERYBODY, Client, Policy, Rules, TestNumber
from otp_service.ports import Bucket, NewRecord
from otp_service.recipient import Recipient


class Records:
    def __init__(self, keyring: Keyring, rules: Rules) -> None:
        self._keyring = keyring
        self._rules = rules

    def new(
        self, id: VerificationId, client: Client, request: StartRequest, to: Recipient, buckets: Sequence[Bucket]
    ) -> NewRecord:
        keyring, kid = self._keyring, self._keyring.current
        policy, test = self._rules.policies[request.purpose], self._rules.test_numbers.get(to.e164)
        scope = keyring.scope(client.name, request.purpose, to.e164, request.session)
        bound_to = tokens.bind(keyring.token_key(kid, client.name, request.purpose), "to", to.e164)
        fields: dict[str, str | bytes | int] = {
            "client": client.name,
            "purpose": request.purpose,
            "kid": kid,
            "scope": scope,
            "bindings": bindings_of(request.session, request.context),
            "to": keyring.seal(kid, id.text, "to", to.e164),
            "mask": keyring.seal(kid, id.text, "mask", to.mask),
            "promised": f"{policy.max_sends} {policy.token_ttl} {bound_to}",
            "locale": request.locale or policy.locale,
            "max_attempts": policy.max_attempts,
            **self._code_fields(id, client, request, policy, test),
        }
        if buckets:
            fields["buckets"] = " ".join(f"{bucket.limit}:{bucket.name}" for bucket in buckets)
        if request.device is not None:
            fields["device"] = keyring.device(client.name, request.device)
        if not self._rules.listened.isdisjoint({client.name, EVERYBODY}):
            fields["listen"] = 1
        if request.metadata is not None:
            fields["metadata"] = keyring.seal(kid, id.text, "metadata", json.dumps(dict(request.metadata)))
        context = keyring.context(request.context)
        return NewRecord(
            id, scope, request.session is not None, policy.ttl * 1000, context, deliver=request.deliver, fields=fields
        )

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


def bindings_of(session: str | None, context: object | None) -> str:
    """Which of session and context were said: "", "s", "c" or "sc"."""
    return ("s" if session is not None else "") + ("c" if context is not None else "")
