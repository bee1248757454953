"""Login by phone number and code: two forms, each of them safe to send twice."""

import re
import secrets

import state as browser
from django.contrib.auth import get_user_model, login
from django.shortcuts import redirect, render
from service import call, is_over, words


def enter_number(request):
    state = browser.read(request)
    if request.method != "POST":
        return show(request, "number.html", {**state, "next": request.GET.get("next", "")})
    number = re.sub(r"[^0-9+]", "", request.POST["to"])
    state["to"] = number if number.startswith("+") else f"+86{number}"
    start = {"to": state["to"], "purpose": "login", "session": state["session"]}
    answer = call("/v1/verifications", start, request.POST["attempt"])
    pending = answer.get("verification", answer)  # told to wait while one is pending: its code is still good
    if pending.get("status") != "pending":
        return show(request, "number.html", state, answer)
    return browser.keep(request, redirect("code"), {**state, "id": pending["id"], "shown": pending["to"]})


def enter_code(request):
    state = browser.read(request)
    if "id" not in state:
        return redirect("login")
    if request.method != "POST":
        return show(request, "code.html", state)
    path, attempt = f"/v1/verifications/{state['id']}", request.POST["attempt"]
    if "resend" in request.POST:
        return show(request, "code.html", state, call(f"{path}/resend", {}, attempt))
    answer = call(f"{path}/check", {"code": request.POST["code"], "session": state["session"]}, attempt)
    if "token" in answer:
        proof = {"token": answer["token"], "purpose": "login", "to": state["to"], "session": state["session"]}
        answer = call("/v1/tokens/verify", {**proof, "consume": True}, attempt)
    if not answer.get("valid"):
        return show(request, "code.html", state, answer)
    user, _ = get_user_model().objects.get_or_create(username=state["to"])
    if not user.is_active:
        return show(request, "number.html", state, {"problem": "recipient_disabled", "status": 403})
    login(request, user)
    return redirect(browser.target(request, state))


def stale_form(request, reason=""):
    """A second click may come when login() has changed the CSRF token: whoever is in by then goes on."""
    state = browser.read(request)
    if request.user.is_authenticated:
        return redirect(browser.target(request, state))
    return show(request, "number.html", state, {"problem": "stale_form", "status": 403})


def show(request, page, state, answer=None):
    failed = answer if answer and "problem" in answer else {}
    # Where the answer got lost the attempt stays the same: sent again, the form meets its own first answer.
    attempt = request.POST["attempt"] if failed.get("problem") == "unavailable" else secrets.token_urlsafe()
    values = {**state, "words": words(failed), "attempt": attempt, "resent": answer and not failed}
    response = render(request, "number.html" if is_over(failed) else page, values, status=failed.get("status"))
    return browser.keep(request, response, state)
