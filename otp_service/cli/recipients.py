"""`recipients`: what is held on one number, and its erasure, for whoever has a right to either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from otp_service import wiring
from otp_service.cli.acting import acting, reason_option
from otp_service.cli.operating import installation, moment, redis_must_answer
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json, print_section
from otp_service.cli.trace import try_document, try_words, verification_document
from otp_service.config import Config
from otp_service.errors import Problem
from otp_service.ports import Busy, Holding
from otp_service.wiring import Doing, Dossier, Exported

NOT_IN_REACH = (
    "answers kept for an Idempotency-Key: they go within 2 h, and can't be found by a number",
    "what a client holds that is no longer configured",
    "logs: they hold ids and no number; search yours for the ids",
    "what gateways, carriers and receivers of webhooks were told",
)
"""What belongs to an answer about a person, and can't be in ours."""
_TRY_COLUMNS = ("send", "channel", "outcome", "reason", "gateway's words", "gateway id", "report", "at", "took")


@click.group()
def recipients() -> None:
    """Export what is held on a number, erase it, and stop sends to it."""


@recipients.command()
@click.argument("number")
@reason_option
@config_option
@json_option
def export(number: str, reason: str, config_path: Path | None, as_json: bool) -> int:
    """Show everything that is held on NUMBER, over all configured clients. Exits 1 where it is not everything."""
    loaded = installation(config_path)
    with _about(loaded, "recipients.export", number, reason) as doing:
        dossier = wiring.export_recipient(loaded, number)
        done = "done in part" if dossier.unknown else "done"
        doing.outcome = f"{done}: {len(dossier.verifications)} verifications, {len(dossier.holdings)} more"
    if as_json:
        print_json(_document(dossier))
    else:
        _print(dossier)
    for what in dossier.unknown:
        click.echo(f"incomplete: {what}: Redis does not answer for it; mend it and export again", err=True)
    return 1 if dossier.unknown else 0


@recipients.command()
@click.argument("number")
@click.option("--also-limits", is_flag=True, help="Also what counts against the limits: it then may be tried anew.")
@reason_option
@config_option
@json_option
def erase(number: str, also_limits: bool, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Forget NUMBER: what pends ends canceled, and nothing more is sent. May be repeated.

    What counts against the limits (sends, wrong codes, a STOP) stays until it ages out: it is a keyed hash and moments,
    and protects that number.
    """
    loaded = installation(config_path)
    name = "recipients.erase.also_limits" if also_limits else "recipients.erase"
    with _about(loaded, name, number, reason) as doing:
        try:
            erased = wiring.erase_recipient(loaded, number, also_limits)
        except Busy:
            raise click.ClickException("others start verifications of it all the time; try again") from None
        doing.outcome = f"done: {_summary(erased.counts)}"
    if as_json:
        print_json({"erased": erased.counts, "kept": [_held(one) for one in erased.kept], "elsewhere": NOT_IN_REACH})
        return
    click.echo(f"erased: {_summary(erased.counts)}")
    _print_held("kept", erased.kept)
    _print_elsewhere()


def _for_clients(command: Callable[..., None]) -> Callable[..., None]:
    """What a suppression is asked for: the fields of `_Suppression`."""
    client = click.option("--client", metavar="NAME", help="For this client alone; else for all.")
    options: list[Callable[[Any], Any]] = [json_option, config_option, reason_option, client, click.argument("number")]
    for option in options:
        command = option(command)
    return command


@recipients.command()
@_for_clients
def suppress(**asked: Any) -> None:
    """Send nothing more to NUMBER, at once and without a restart, for two years; starts answer `recipient_blocked`."""
    _Suppression(**asked).begin()


@recipients.command()
@_for_clients
def unsuppress(**asked: Any) -> None:
    """Send to NUMBER again; also when it was the person who said STOP."""
    _Suppression(**asked).lift()


@dataclass(frozen=True, slots=True)
class _Suppression:
    """That nothing more is sent to a number: its beginning, and its end."""

    number: str
    client: str | None
    """None for all."""
    reason: str
    config_path: Path | None
    as_json: bool

    def begin(self) -> None:
        self._put("recipients.suppress", False, "nothing more is sent")

    def lift(self) -> None:
        self._put("recipients.unsuppress", True, "sends again")

    def _put(self, act: str, lift: bool, told: str) -> None:
        loaded = installation(self.config_path)
        chosen = self._clients(loaded)
        with _about(loaded, act, self.number, self.reason) as doing:
            wiring.suppress_recipient(loaded, self.number, chosen, lift)
            doing.outcome = f"done: {', '.join(chosen)}"
        if self.as_json:
            print_json({"suppressed": not lift, "clients": chosen})
        else:
            click.echo(f"{told}: {', '.join(chosen) or 'no client is configured'}")

    def _clients(self, loaded: Config) -> list[str]:
        """Raises BadParameter for one that is not configured."""
        names = [one.name for one in loaded.clients]
        if self.client is None:
            return names
        if self.client not in names:
            known = ", ".join(names) or "none"
            raise click.BadParameter(f"no client is called {self.client!r}; there are {known}", param_hint="--client")
        return [self.client]


@contextmanager
def _about(config: Config, name: str, number: str, reason: str) -> Iterator[Doing]:
    """Do something about a number, and have it written down under the number's keyed hash."""
    with redis_must_answer(config):
        try:
            target = wiring.target_of(config, number)
        except Problem as problem:
            raise click.ClickException(problem.detail) from problem
        with acting(config, name, target, reason) as doing:
            yield doing


def _summary(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing was held"


# --- as a person reads it ---------------------------------------------------------------------------------------------


def _print(dossier: Dossier) -> None:
    columns = ("id", "client", "purpose", "to", "status", "delivery", "started", "metadata", "besides")
    print_section("verification", columns, [_verification_words(one) for one in dossier.verifications])
    rows = [(one.held.id, *try_words(tried)) for one in dossier.verifications for tried in one.tries]
    print_section("try", ("id", *_TRY_COLUMNS), rows)
    _print_held("held", dossier.holdings)
    print_section("incomplete", ("not in this: Redis does not answer for it",), [(one,) for one in dossier.unknown])
    if not dossier.verifications and not dossier.holdings and not dossier.unknown:
        click.echo(f"nothing is held on {dossier.to}")
    _print_elsewhere()


def _verification_words(one: Exported) -> tuple[str, ...]:
    besides = " ".join(f"{name}={value}" for name, value in _besides(one).items())
    shown = one.verification
    if shown is None:
        state = "its secret key is no longer configured" if one.held.facts else "only its tries are left"
        return one.held.id, one.held.client, "", "", state, "", "", "", besides
    states = (shown.purpose, shown.to, str(shown.status), str(shown.delivery), moment(shown.created_at) or "")
    metadata = " ".join(f"{name}={value}" for name, value in (shown.metadata or {}).items())
    return one.held.id, one.held.client, *states, metadata, besides


def _print_held(kind: str, holdings: Sequence[Holding]) -> None:
    rows = [
        (one.kind, one.client, str(one.count), moment(one.until) or "", " ".join(_moments(one)), one.about)
        for one in holdings
    ]
    print_section(kind, ("what", "client", "count", "goes", "moments", "about"), rows)


def _print_elsewhere() -> None:
    for line in NOT_IN_REACH:
        click.echo(f"not in this: {line}", err=True)


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _document(dossier: Dossier) -> dict[str, Any]:
    return {
        "at": moment(dossier.now),
        "to": dossier.to,
        "complete": not dossier.unknown,
        "unknown": list(dossier.unknown),
        "verifications": [_exported(one) for one in dossier.verifications],
        "held": [_held(one) for one in dossier.holdings],
        "elsewhere": NOT_IN_REACH,
    }


def _exported(one: Exported) -> dict[str, Any]:
    about: dict[str, Any] = {"id": one.held.id, "client": one.held.client}
    if one.verification:
        about = verification_document(one.held.client, one.verification)
        about["metadata"] = dict(one.verification.metadata or {})
    return {**about, "besides": _besides(one), "tries": [try_document(tried) for tried in one.tries]}


def _besides(one: Exported) -> dict[str, str]:
    """What the record holds beside what the API shows; of address, device and bindings, only that there is one."""
    facts = dict(one.held.facts)
    said = {"s": "session", "c": "context"}
    bound = {said[letter] for letter in facts.pop("bindings", "")} | ({"device"} if facts.pop("device", "") else set())
    hashes = sorted(bound | {bucket.partition(":")[0] for bucket in facts.pop("buckets", "").split()})
    if facts.pop("deliver", "1") == "0":
        facts["deliver"] = "false"
    return {**facts, **({"hashes_of": ",".join(hashes)} if hashes else {})}


def _held(one: Holding) -> dict[str, Any]:
    return {
        "what": one.kind,
        "client": one.client or None,
        "count": one.count,
        "goes": moment(one.until),
        "moments": _moments(one),
        "about": one.about or None,
    }


def _moments(one: Holding) -> list[str]:
    return [said for at in one.moments if (said := moment(at))]
