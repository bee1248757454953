"""A running service, as `send` and `check` call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import httpx

from otp_service.cli.running_demo import RunningDemo

_TIMEOUT = 10.0
"""Seconds; a start that waits for its first try takes up to 5."""

_url = click.option("--url", envvar="OTP_URL", help="Of the service; else $OTP_URL, else the running demo.")
_key = click.option(
    "--key", envvar="OTP_KEY", help="API key; else $OTP_KEY (which no process list shows), else the demo's."
)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _url(_key(command))


def post(url: str | None, key: str | None, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The answer's document. Raises ClickException with the problem's own words."""
    if url is None or key is None:
        running = RunningDemo.find()
        url, key = url or running.url, key or running.key
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}", **headers},
            timeout=_TIMEOUT,
            trust_env=False,
        )
        document: dict[str, Any] = answer.json()
    except httpx.HTTPError as error:
        raise click.ClickException(f"{url} does not answer: {error or type(error).__name__}") from error
    except (ValueError, httpx.InvalidURL) as error:
        raise click.ClickException(f"{url} is no otp-service: its answer is no JSON") from error
    if answer.is_success:
        return document
    raise click.ClickException(_said(document))


def _said(document: dict[str, Any]) -> str:
    details = [f"{error.get('pointer')}: {error.get('detail')}" for error in document.get("errors", [])]
    return ": ".join([str(document.get("problem", "error")), "; ".join(details) or str(document.get("detail", ""))])
