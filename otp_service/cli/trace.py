"""`trace`: what became of one number's sends, or of one verification, and what refuses the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from otp_service import wiring
from otp_service.cli.operating import ago, installation, moment, redis_must_answer, until
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json, print_section
from otp_service.errors import Problem
from otp_service.ports import Hindrance
from otp_service.verification import Try, Verification
from otp_service.wiring import Trail


@click.command()
@click.argument("asked", metavar="NUMBER|ID")
@config_option
@json_option
def trace(asked: str, config_path: Path | None, as_json: bool) -> int:
    """Show every try of a NUMBER's verifications, or of the one with ID, and what refuses a send now.

    Exits 1 where a part of that is not known.
    """
    loaded = installation(config_path)
    with redis_must_answer(loaded):
        try:
            trail = wiring.trace(loaded, asked)
        except Problem as problem:
            raise click.ClickException(problem.detail) from problem
    if as_json:
        print_json(_document(trail))
    else:
        _print(trail)
    return 1 if trail.unknown else 0


def _print(trail: Trail) -> None:
    now = trail.now
    for one in trail.verifications:
        shown = one.verification
        facts = (shown.id, one.client, shown.purpose, shown.to, str(shown.status), str(shown.delivery))
        times = (ago(shown.created_at, now), f"{shown.sends} of {shown.max_sends}")
        test = ("a test number: nothing is ever sent",) if shown.test else ()
        print_section(
            "verification",
            ("id", "client", "purpose", "to", "status", "delivery", "started", "sends", *("note" for _ in test)),
            [(*facts, *times, *test)],
        )
        print_section(
            "try",
            ("send", "channel", "outcome", "reason", "gateway's words", "gateway id", "report", "at", "took"),
            [try_words(tried) for tried in shown.tries],
        )
    if not trail.verifications:
        click.echo(f"{trail.to} has no verification in the last 2 h that a configured client asked for")
    print_section(
        "limit",
        ("refuses", "until", "client", "why"),
        [(one.limit, _until(one, now), one.client, one.detail) for one in trail.hindrances],
    )
    print_section("unknown", ("may refuse, too",), [(one,) for one in trail.unknown])
    if trail.unknown:
        click.echo("Redis does not answer for all that may refuse a send: see `otp-service status`", err=True)
    elif not trail.hindrances:
        click.echo("nothing refuses a send now")


def _until(one: Hindrance, now: int) -> str:
    return until(one.until, now) if one.until else "no end in sight"


def try_words(one: Try) -> tuple[str, ...]:
    took = "" if one.took_ms is None else f"{one.took_ms} ms"
    report = " ".join(filter(None, [one.report, one.report_words]))
    outcome = one.outcome or "no answer yet"
    at = moment(one.at) or ""
    return str(one.send), one.channel, outcome, one.reason or "", one.detail, one.gateway_id, report, at, took


def _document(trail: Trail) -> dict[str, Any]:
    return {
        "at": moment(trail.now),
        "to": trail.to,
        "verifications": [verification_document(one.client, one.verification) for one in trail.verifications],
        "limits": [
            {"limit": one.limit, "until": moment(one.until), "client": one.client or None, "detail": one.detail}
            for one in trail.hindrances
        ],
        "unknown": list(trail.unknown),
    }


def verification_document(client: str, shown: Verification) -> dict[str, Any]:
    return {
        "id": shown.id,
        "client": client,
        "purpose": shown.purpose,
        "status": shown.status,
        "delivery": shown.delivery,
        "test": shown.test,
        "created_at": moment(shown.created_at),
        "expires_at": moment(shown.expires_at),
        "resend_at": moment(shown.resend_at),
        "sends": shown.sends,
        "sends_left": shown.sends_left,
        "attempts_left": shown.attempts_left,
        "tries": [try_document(tried) for tried in shown.tries],
    }


def try_document(one: Try) -> dict[str, Any]:
    return {
        "send": one.send,
        "channel": one.channel,
        "outcome": one.outcome,
        "reason": one.reason,
        "detail": one.detail,
        "gateway_id": one.gateway_id,
        "report": one.report,
        "report_words": one.report_words,
        "at": moment(one.at),
        "took_ms": one.took_ms,
    }
