"""`Line`: the one way from a request to Redis. It fails closed, and asks again only what may be asked twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.ports import StoreDown, StoreFull
from otp_service.store.connection import Lost
from otp_service.store.durability import AWAITED, require_replica
from otp_service.store.lane import Asks
from otp_service.store.scripts import Script
from otp_service.store.wire import Words

_OUT_OF_MEMORY = "not allowed when used memory"
"""Redis 6.2 says it in the middle of another error, whose class says nothing."""

Arguments = Words


@dataclass(frozen=True, slots=True)
class Line:
    """Threads share one; each call takes a connection of its own for its round trip. All methods raise StoreDown."""

    client: redis.Redis
    scripts: Mapping[str, Script]
    lane: Asks | None = None
    """Without one redis-py asks, which costs more."""
    replica_within: int = 0
    """Milliseconds that a replica has to confirm an awaited transition; 0: none is asked."""

    def run(self, name: str, keys: Sequence[str], arguments: Arguments) -> Any:
        return self._asked(name, self._evaluate, name, keys, arguments)

    def run_each(self, calls: Sequence[tuple[str, Sequence[str], Arguments]]) -> list[Any]:
        """Scripts with their keys and arguments, in one round trip; of a cluster in one to each master."""
        replies: list[Any] = self._asked(calls[0][0], self._evaluate_each, calls)
        return replies

    def call(self, *command: str) -> Any:
        return self._asked(command[0], self._ask, command)

    def call_each(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """In one round trip; of a cluster in one to each master."""
        replies: list[Any] = self._asked(commands[0][0], self._ask_all, commands)
        return replies

    def _asked(self, name: str, ask: Callable[..., Any], *what: Any) -> Any:
        """Ask; once more when the reply is lost: what counts knows its request by a nonce, the rest may be repeated."""
        try:
            try:
                return ask(*what)
            except RedisTimeoutError:
                raise  # a server that is silent now is not asked again on the person's time
            except RedisConnectionError:
                return ask(*what)
        except Lost as error:
            loss = StoreFull if _OUT_OF_MEMORY in str(error) else StoreDown
            raise loss(f"{name}: {type(error).__name__}") from error

    def _evaluate(self, name: str, keys: Sequence[str], arguments: Arguments) -> Any:
        script = self.scripts[name]
        ask = self._ask_replicated if self.replica_within and name in AWAITED else self._ask
        try:
            return ask(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        except NoScriptError:
            return ask(("EVAL", script.text, len(keys), *keys, *arguments))

    def _ask(self, words: Words) -> Any:
        if self.lane is None:
            return self.client.execute_command(*words)  # type: ignore[no-untyped-call]
        reply = self.lane.ask((words,))[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _ask_all(self, commands: Sequence[Arguments]) -> list[Any]:
        return _none_refused(self._ask_each(commands))

    def _ask_each(self, commands: Sequence[Arguments]) -> list[Any]:
        """The replies, refusals among them."""
        if self.lane is None:
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipeline.execute(raise_on_error=False)
        return self.lane.ask(commands)

    def _ask_replicated(self, words: Words) -> Any:
        """A transition, and on the same connection whether a replica has it: one trip. Raises StoreDown if none has."""
        replies = self._ask_all([words, ("WAIT", 1, self.replica_within)])
        require_replica(replies[1])
        return replies[0]

    def _evaluate_each(self, calls: Sequence[tuple[str, Sequence[str], Arguments]]) -> list[Any]:
        replies = self._ask_each(
            [("EVALSHA", self.scripts[name].sha, len(keys), *keys, *arguments) for name, keys, arguments in calls]
        )
        for n, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[n] = self._evaluate(*calls[n])
        return _none_refused(replies)


def _none_refused(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
