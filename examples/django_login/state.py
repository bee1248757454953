"""What one browser is about to prove, in a signed cookie of its own: login() gives Django's session another key and
deletes the old one, and a second click with the old key would find nothing there."""

import secrets

from django.core import signing
from django.utils.http import url_has_allowed_host_and_scheme


def read(request):
    """`session` is the random value that binds a verification to this browser; `id` is there once a code was sent."""
    try:
        return signing.loads(request.COOKIES.get("otp", ""), salt="otp")
    except signing.BadSignature:
        return {"session": secrets.token_urlsafe()}


def keep(request, response, state):
    """The response, with the state in its cookie."""
    cookie = signing.dumps(state, salt="otp")
    response.set_cookie("otp", cookie, httponly=True, samesite="Lax", secure=request.is_secure())
    return response


def target(request, state):
    """Where the person wanted to go, if that is a page of ours."""
    wanted, hosts = state.get("next"), {request.get_host()}
    return wanted if url_has_allowed_host_and_scheme(wanted, hosts, request.is_secure()) else "/"
