"""Whether a request may be tried at all, by the configuration alone. Nothing is counted or looked up here."""

from __future__ import annotations

from otp_service import locales, recipient
from otp_service.calls import StartRequest
from otp_service.errors import FieldError, Forbidden, InvalidRequest, RecipientBlocked, UnknownPurpose
from otp_service.number_lists import judge
from otp_service.policy import EVERYBODY, Client, Policy, Rules
from otp_service.recipient import NEVER_OPENED, LineType, Recipient
from otp_service.routes import ChannelRule, eligible


class Admission:
    """Every method raises the `Problem` that says what to mend."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def purpose(self, client: Client, purpose: str) -> Policy:
        policy = self._rules.policies.get(purpose)
        if policy is None:
            known = ", ".join(sorted(self._rules.policies))
            raise UnknownPurpose(f"This purpose is not configured; there are: {known}.")
        if purpose not in client.purposes:
            raise Forbidden(f"The client {client.name} may not use the purpose {purpose}.")
        return policy

    def start(self, client: Client, request: StartRequest) -> Recipient:
        """The recipient of a start that may be tried."""
        self.purpose(client, request.purpose)
        missing = [name for name in sorted(client.require) if getattr(request, name) is None]
        if missing:
            detail = "this client must say it with every start"
            raise InvalidRequest(
                f"missing: {', '.join(missing)}", errors=[FieldError(f"/{name}", detail) for name in missing]
            )
        if request.locale is not None and not locales.valid_locale(request.locale):
            raise _invalid("/locale", "write a language tag such as zh-CN or en")
        self.channel(request.channel)
        to = self.recipient(request.to)
        self.may_receive(client.name, to)
        return to

    def channel(self, channel: str | None) -> None:
        if channel is None:
            return
        names = [rule.name for rule in self._rules.channels]
        if channel not in names:
            raise _invalid("/channel", f"there is no such channel; there are: {', '.join(names)}")

    def route(self, client: str, purpose: str, to: Recipient, channel: str | None) -> tuple[ChannelRule, ...]:
        """The channels that may carry this send; only the one that the caller names, if it names one.

        A resend comes by here alone, and the lists may have grown since its start.
        """
        if to.e164 in self._rules.test_numbers:
            return ()
        self.may_receive(client, to)
        route = eligible(self._rules.channels, client, purpose, to)
        if not route:
            raise RecipientBlocked(
                "No channel carries this purpose to numbers of this country; the settings are regions, prefixes, "
                "purposes and clients of channels."
            )
        if not channel:
            return route
        if pinned := tuple(rule for rule in route if rule.name == channel):
            return pinned
        raise _invalid("/channel", f"it does not carry this; there are: {', '.join(rule.name for rule in route)}")

    def recipient(self, to: str) -> Recipient:
        return recipient.parse(to, self._rules.default_region)

    def may_receive(self, client: str, to: Recipient) -> None:
        """Depends on the number and the configuration only, never on what is known of an account."""
        rules = self._rules
        if to.e164 in rules.test_numbers:
            return
        if to.line_type in NEVER_OPENED:
            raise RecipientBlocked(f"Numbers of the type {to.line_type} get no SMS from us; no setting opens them.")
        said = judge((rules.lists[name] for name in (EVERYBODY, client) if name in rules.lists), to.e164)
        if said and said.blocks:
            raise RecipientBlocked(f"This number is on a block list; the setting is {said.setting}.")
        if said:
            return
        if to.line_type in rules.refused_lines:
            opened = _opened_by(to.line_type)
            raise RecipientBlocked(f"Numbers of the type {to.line_type} get no SMS from us; {opened}.")
        if "*" not in rules.regions and to.region not in rules.regions:
            raise RecipientBlocked("Numbers of this country are not served; the setting is routing.regions.")


def _opened_by(line_type: LineType) -> str:
    if line_type in {LineType.VOIP, LineType.FIXED_LINE}:
        return f"the setting is recipients.line_types.{line_type}"
    return "a single one that takes SMS is opened by recipients.allow"


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(pointer, detail)])
