"""What gateways send to us by themselves: read strictly, since anybody may write to that address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from otp_service.channels.json_answers import UnreadableAnswer, read_json
from otp_service.ports import Push, PushRefused

_MAX_FIELDS = 100


def form_fields(text: str) -> list[tuple[str, str]]:
    """The fields of a form or a query, empty ones as well. Raises `PushRefused` for what is neither."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise PushRefused("the form can't be read") from None


def query_fields(push: Push) -> list[tuple[str, str]]:
    try:
        return form_fields(urlsplit(push.url).query)
    except ValueError:
        raise PushRefused("the address can't be read") from None


def body_text(push: Push) -> str:
    try:
        return push.body.decode()
    except UnicodeDecodeError:
        raise PushRefused("the body is not UTF-8") from None


def body_json(push: Push) -> object:
    """Objects and lists of text, bool and None. Raises `PushRefused`."""
    try:
        return read_json(push.body)
    except UnreadableAnswer as error:
        raise PushRefused(str(error).replace("answer", "body")) from None
