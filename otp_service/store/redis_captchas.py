"""`RedisSpentTokens`: the SpentTokens of `ports`: one string a token, the nonce of the request that spent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.ports import StoreDown
from otp_service.store.connection import Lost
from otp_service.store.keys import Keys
from otp_service.store.rows import text

SPENT_SECONDS = 600
"""No service takes a token longer: Turnstile 300 s, hCaptcha 120 s; GeeTest's own proof is as short."""


class RedisSpentTokens:
    """Threads share one. A lost reply is asked for once more, as in `RedisStore`: the nonce tells that it is ours."""

    def __init__(self, client: redis.Redis, prefix: str = "otp") -> None:
        self._client = client
        self._keys = Keys(prefix)

    def spender(self, name: str) -> str:
        return _answer(lambda: self._client.get(self._keys.captcha(name)))

    def spend(self, name: str, nonce: str) -> str:
        key = self._keys.captcha(name)

        def ask() -> Any:
            # The second command tells who was first, ourselves in an earlier try included.
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(key, nonce, nx=True, ex=SPENT_SECONDS)
            pipeline.get(key)
            return pipeline.execute()[1]

        return _answer(ask)


def _answer(ask: Callable[[], Any]) -> str:
    try:
        try:
            reply = ask()
        except RedisTimeoutError:
            raise  # a server that is silent now is not asked again on the person's time
        except RedisConnectionError:
            reply = ask()
        return text(reply or b"")
    except Lost as error:
        raise StoreDown(type(error).__name__) from error
