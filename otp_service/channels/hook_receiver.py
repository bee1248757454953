"""`PinnedReceiver`: the way out to an address that somebody else chose, judged anew at each attempt (SSRF)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from otp_service.channels.http import HttpAnswer, HttpError, NotSent
from otp_service.channels.http.names import LookUp, Names, system_look_up
from otp_service.egress import Target, is_public
from otp_service.ports import AddressRefused, HookAnswer, HookFailed

_MOST_ADDRESSES = 3
"""Tried in turn, as long as no byte has left."""


class PinningClient(Protocol):
    """What we need of `GatewayClient`."""

    async def request(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float, address: str
    ) -> HttpAnswer:
        """Connect to `address`, whatever the URL's name stands for; the certificate must still be of that name."""
        ...

    async def aclose(self) -> None: ...


class Resolver(Protocol):
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Every address of that name, the best first. Raises OSError or UnicodeError."""
        ...


class SystemResolver:
    """The operating system's. One a webhook: a name server that hangs delays no other."""

    def __init__(self, look_up: LookUp = system_look_up) -> None:
        self._names = Names(look_up)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        endpoints = await self._names.endpoints(host, port)
        return list(dict.fromkeys(str(address[0]) for *_, address in endpoints))


class PinnedReceiver:
    """The `HookReceiver` of `ports`. The address may have changed since it was last judged, and is not trusted to stay
    until it is connected to: so it is resolved once an attempt, and the connection goes to what was judged."""

    def __init__(self, url: str, target: Target, client: PinningClient, resolver: Resolver) -> None:
        self._url = url
        self._target = target
        self._client = client
        self._resolver = resolver

    async def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> HookAnswer:
        loop = asyncio.get_running_loop()
        ends = loop.time() + deadline
        refusal: HttpError | None = None
        for address in (await self._addresses(deadline))[:_MOST_ADDRESSES]:
            try:
                answer = await self._client.request(
                    "POST", self._url, body, headers, deadline=max(ends - loop.time(), 0.0), address=address
                )
            except NotSent as error:
                refusal = error
                if error.timed_out:
                    break
            except HttpError as error:
                raise HookFailed(str(error)) from error
            else:
                return HookAnswer(answer.status, answer.retry_after)
        raise HookFailed(str(refusal)) from refusal

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _addresses(self, deadline: float) -> Sequence[str]:
        try:
            async with asyncio.timeout(deadline):
                found = await self._resolver.resolve(self._target.host, self._target.port)
        except TimeoutError as error:
            raise AddressRefused(f"its name was not looked up within {deadline:.3g} s") from error
        except (OSError, UnicodeError) as error:
            raise AddressRefused(f"its name can't be looked up ({type(error).__name__})") from error
        if not found:
            raise AddressRefused("its name stands for no address")
        # All of them: one private address among public ones is how such a name is made to be taken by chance.
        if not self._target.allowed and not all(is_public(address) for address in found):
            raise AddressRefused("its name stands for an address that is not of the open Internet")
        return found
