"""One question to a CAPTCHA service, with one deadline over all of it, and what keeps a silent service from the rest.

Threads of the API ask, and a person waits. httpx bounds each read and not their sum, nor the look-up of the name; so
the question is asked on a thread of its own, which is left to itself when the time is over.
"""

from __future__ import annotations

import functools
import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from otp_service.ports import CaptchaDown

MAX_ANSWER = 64 * 1024
"""Bytes. A real answer is under 1 KiB."""
MOST_ASKING = 12
"""Of the 16 starts that a process works on at once: while a service is slow, those who need it not go on."""
REST_AFTER = 5
"""Silences in a row after which the service is left alone for a while."""
REST_SECONDS = 5.0
_GONE = frozenset({502, 503, 504})
"""Said by what stands before the service, or by one that knows that it can't work: no word of it on the token."""


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    said: Mapping[str, Any] = field(repr=False)
    """The JSON object of its body."""


class Asker:
    """Asks at one address. `deadline` is in seconds and covers everything. Threads share one.

    No redirects, no cookies, no proxies or certificates of the environment.
    """

    def __init__(self, url: str, deadline: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._deadline = deadline
        self._clock = clock
        self._client = httpx.Client(
            verify=_tls(),
            trust_env=False,
            follow_redirects=False,
            timeout=deadline,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            limits=httpx.Limits(max_connections=MOST_ASKING, max_keepalive_connections=8),
        )
        self._places = threading.BoundedSemaphore(MOST_ASKING)
        self._silences = 0
        self._rests_until = float("-inf")

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Send, and read the answer whole. Raises CaptchaDown, without a cause: that would know body and address."""
        if self._clock() < self._rests_until:
            raise CaptchaDown("it was silent just now, and is not asked", silent=True)
        if not self._places.acquire(blocking=False):
            # No silence of the service: a flood of tokens must not open the door that its outage opens.
            raise CaptchaDown("it is slow, and enough tokens wait for it", silent=False)
        outcome = self._within_deadline(body, headers)
        if isinstance(outcome, CaptchaDown) and outcome.silent:
            self._silences += 1
            if self._silences >= REST_AFTER:
                self._rests_until = self._clock() + REST_SECONDS
        else:
            self._silences = 0
        if isinstance(outcome, CaptchaDown):
            raise outcome
        return outcome

    def close(self) -> None:
        self._client.close()

    def _within_deadline(self, body: bytes, headers: Mapping[str, str]) -> Answered | CaptchaDown:
        """Whoever holds a place gives it back when the question is over, be it long after the deadline."""
        outcomes: queue.SimpleQueue[Answered | CaptchaDown] = queue.SimpleQueue()
        ends = self._clock() + self._deadline

        def ask() -> None:
            try:
                outcomes.put(self._outcome(body, headers, ends))
            finally:
                self._places.release()

        threading.Thread(target=ask, name="captcha", daemon=True).start()
        try:
            return outcomes.get(timeout=self._deadline)
        except queue.Empty:
            return CaptchaDown("no answer in time", silent=True)

    def _outcome(self, body: bytes, headers: Mapping[str, str], ends: float) -> Answered | CaptchaDown:
        try:
            status, raw = self._exchange(body, headers, ends)
        except (TimeoutError, httpx.TimeoutException, httpx.NetworkError) as error:
            return CaptchaDown(f"no answer: {type(error).__name__}", silent=True)
        except Exception as error:
            return CaptchaDown(f"no answer that can be read: {type(error).__name__}", silent=False)
        if status in _GONE:
            return CaptchaDown(f"HTTP {status}", silent=True)
        if len(raw) > MAX_ANSWER:
            return CaptchaDown("an answer that is too long", silent=False)
        return _read(status, raw)

    def _exchange(self, body: bytes, headers: Mapping[str, str], ends: float) -> tuple[int, bytes]:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "otp-service", **headers}
        raw = bytearray()
        with self._client.stream("POST", self._url, content=body, headers=asked) as answer:
            for piece in answer.iter_raw():
                raw += piece
                if len(raw) > MAX_ANSWER:
                    break
                if self._clock() > ends:
                    raise TimeoutError
            return answer.status_code, bytes(raw)


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _read(status: int, raw: bytes) -> Answered | CaptchaDown:
    """Services answer in JSON whatever the status; one that does not is another than was meant."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return CaptchaDown(f"HTTP {status} without a JSON object", silent=False)
    return Answered(status, said)
