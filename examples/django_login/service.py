"""Calls to otp-service that may be repeated, and its problems in the words of a login page."""

import hashlib
import json
import os

import httpx

HEADERS = {"Authorization": f"Bearer {os.environ['OTP_KEY']}"}
CLIENT = httpx.Client(base_url=os.environ["OTP_URL"], headers=HEADERS, timeout=5, trust_env=False)

START_AGAIN = "This code has expired, was used or was tried too often. Please ask for a new one."
TRY_AGAIN = "We can't reach the code service just now. Please try again in a moment."
WORDS = {
    "code_mismatch": "That is not the code. Attempts left: {attempts_left}.",
    "rate_limited": "Too often: please wait {retry_after} s.",
    "invalid_recipient": "That is not a phone number that we can reach.",
    "recipient_blocked": "We don't send codes to this number.",
    "recipient_disabled": "This number is locked. Please call us.",
    "invalid_request": "Please type the code, all of its digits.",
    "stale_form": "This page was open for too long, or cookies are off. Please try again.",
}
OVER = {"already_approved", "canceled", "exhausted", "expired", "not_found", "token_expired", "token_used"}


def call(path, body, attempt):
    """The answer's document. A lost answer is asked for again: the same attempt and body have the same key, so the
    service gives its first answer once more, the token included, and neither sends nor counts a second time."""
    key = hashlib.sha256(json.dumps([attempt, path, body]).encode()).hexdigest()
    for _ in range(2):
        try:
            return CLIENT.post(path, json=body, headers={"Idempotency-Key": key}).json()
        except (httpx.TransportError, ValueError):
            continue
    return {"problem": "unavailable", "status": 503}


def is_over(answer):
    """Whether only a new code can help."""
    return answer.get("problem") in OVER or ("problem" in answer and answer.get("attempts_left") == 0)


def words(answer):
    """What to tell the person; nothing, where all is well."""
    if "problem" not in answer:
        return ""
    return START_AGAIN if is_over(answer) else WORDS.get(answer["problem"], TRY_AGAIN).format_map(answer)
