"""A running service, as `send` and `check` call it."""

from __future__ import annotations

import json
import re
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
            content=_encoded(body),
            headers={"Authorization": f"Bearer {_sent(key)}", "Content-Type": "application/json", **headers},
            timeout=_TIMEOUT,
            trust_env=False,
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise click.ClickException(f"{url} is no address: write http://host:port or https://…") from error
    except httpx.HTTPError as error:
        raise click.ClickException(f"{url} does not answer: {error or type(error).__name__}") from error
    document = _document(answer)
    if answer.is_success and "status" in document:
        return document
    if "problem" in document:
        raise click.ClickException(_said(document))
    raise click.ClickException(f"{url} is no otp-service: it answered HTTP {answer.status_code} without a problem")


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise click.ClickException("an argument is not UTF-8; type it again") from None


def _sent(key: str) -> str:
    """A key that was read from a file ends with its line; what else no header may hold is told without repeating it."""
    key = key.strip()
    if not re.fullmatch("[!-~]+", key):
        raise click.ClickException("the API key is empty or holds what no key does; copy it again, otp_…")
    return key


def _document(answer: httpx.Response) -> dict[str, Any]:
    """Empty for what is no JSON object."""
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _said(document: dict[str, Any]) -> str:
    details = [f"{error.get('pointer')}: {error.get('detail')}" for error in document.get("errors", [])]
    return ": ".join([str(document["problem"]), "; ".join(details) or str(document.get("detail", ""))])
