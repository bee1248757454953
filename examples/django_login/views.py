"""Login by phone number and code: two forms, each of them safe to send twice. The words are in the templates."""

import json
import os

import httpx
from django.contrib.auth import get_user_model, login
from django.shortcuts import redirect, render
from django.utils.crypto import get_random_string, salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme

KEY = {"Authorization": f"Bearer {os.environ['OTP_KEY']}"}
OTP = httpx.Client(base_url=os.environ["OTP_URL"], headers=KEY, timeout=5, trust_env=False)


def call(path, body, attempt, tries=2):
    """A lost answer is asked for again: the same key gets the first answer, and nothing is sent or counted twice."""
    key = salted_hmac("otp", json.dumps([attempt, path, body]), algorithm="sha256").hexdigest()
    try:
        return OTP.post(path, json=body, headers={"Idempotency-Key": key}).json()
    except (httpx.TransportError, ValueError):
        return call(path, body, attempt, tries - 1) if tries > 1 else {"problem": "unavailable", "status": 503}


def answer_to(form, state):
    """Send a code, or the same one again while it is good; or check what was typed, and use up its token."""
    who = {"to": state["to"], "purpose": "login", "session": state["session"]}
    if "code" not in form:
        return call("/v1/verifications", who, form["attempt"])
    answer = call("/v1/verifications/check", {**who, "code": form["code"]}, form["attempt"])
    if "token" in answer:
        answer = call("/v1/tokens/verify", {**who, "token": answer["token"], "consume": True}, form["attempt"])
    return answer


def step(request, page):
    """Show a page, or do what its form asks. The state has a cookie of its own: login() replaces Django's session."""
    state = {"to": "", "session": get_random_string(32), **json.loads(request.get_signed_cookie("otp", "{}"))}
    state["next"] = request.GET.get("next") or state.get("next")
    if "to" in request.POST:
        number = "".join(character for character in request.POST["to"] if character in "+0123456789")
        state["to"] = number if number.startswith("+") else f"+86{number}"
    answer = answer_to(request.POST, state) if request.method == "POST" else {}
    if answer.get("valid"):
        login(request, get_user_model().objects.get_or_create(username=state["to"])[0])
        is_ours = url_has_allowed_host_and_scheme(state["next"], {request.get_host()}, request.is_secure())
        return redirect(request.build_absolute_uri(state["next"] if is_ours else "/"))
    status = answer["status"] if "problem" in answer else 200
    attempt = request.POST["attempt"] if status == 503 else get_random_string(32)  # a lost answer can still be had
    page = page if state["to"] and status not in (404, 410) and answer.get("attempts_left") != 0 else "number.html"
    is_sent = "to" in request.POST and answer.get("verification", answer).get("status") == "pending"  # now or before
    values = {"to": state["to"], "answer": answer, "attempt": attempt}
    response = redirect("code") if is_sent else render(request, page, values, status=status)
    response.set_signed_cookie("otp", json.dumps(state), httponly=True, samesite="Lax", secure=request.is_secure())
    return response


def stale_form(request, reason=""):
    """login() changes the CSRF token too: a second click that comes after it goes on, and all else is refused."""
    return redirect("home") if request.user.is_authenticated else render(request, "stale.html", status=403)
