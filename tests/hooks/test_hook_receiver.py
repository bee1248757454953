"""T63, at the moment of sending: the name is looked up, all of its addresses are judged, and one of those is used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from otp_service.channels.hook_receiver import PinnedReceiver, SystemResolver
from otp_service.channels.http import GatewayClient, HttpAnswer, HttpError, MaybeSent, NotSent
from otp_service.channels.http.names import Endpoint
from otp_service.egress import Target
from otp_service.ports import AddressRefused, HookAnswer, HookFailed
from tests.raw_gateway import RawGateway, http_answer, says
from tests.test_egress import PRIVATE

URL = "https://shop.example.com/events?token=s3cret"
PUBLIC_1, PUBLIC_2, PUBLIC_V6 = "93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"


@dataclass
class FakeResolver:
    """Says one answer a look-up, the last one again and again."""

    answers: list[Sequence[str] | Exception]
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FakeClient:
    answers: list[HttpAnswer | HttpError] = field(default_factory=lambda: [HttpAnswer(200, b"")])
    connected: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    closed: bool = False

    async def request(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float, address: str
    ) -> HttpAnswer:
        self.connected.append(address)
        self.urls.append(url)
        self.deadlines.append(deadline)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HttpError):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def post(
    resolver: FakeResolver, client: FakeClient, url: str = URL, allow: Sequence[str] = (), deadline: float = 15.0
) -> HookAnswer:
    receiver = PinnedReceiver(url, Target.parse(url, allow), client, resolver)
    return asyncio.run(receiver.post(b"{}", {}, deadline))


def test_the_connection_is_made_to_the_address_that_was_judged() -> None:
    """T63."""
    resolver, client = FakeResolver([[PUBLIC_1, PUBLIC_V6]]), FakeClient()
    assert post(resolver, client) == HookAnswer(200)
    assert resolver.asked == [("shop.example.com", 443)]
    assert client.connected == [PUBLIC_1]
    assert client.urls == [URL]
    assert 14 < client.deadlines[0] <= 15


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_stands_for_a_private_address_is_not_connected_to(address: str) -> None:
    """T63."""
    client = FakeClient()
    with pytest.raises(AddressRefused, match="not of the open Internet"):
        post(FakeResolver([[address]]), client)
    assert client.connected == []


@pytest.mark.parametrize("addresses", [[PUBLIC_1, "10.0.0.1"], ["::1", PUBLIC_V6], [PUBLIC_1, PUBLIC_2, "fe80::1%lo"]])
def test_one_private_address_among_public_ones_is_enough(addresses: list[str]) -> None:
    """T63."""
    client = FakeClient()
    with pytest.raises(AddressRefused):
        post(FakeResolver([addresses]), client)
    assert client.connected == []


def test_a_name_that_changes_its_mind_is_judged_anew_at_each_attempt() -> None:
    """T63: rebinding: public when it is first looked up, private at the next attempt, and never asked in between."""
    resolver, client = FakeResolver([[PUBLIC_1], ["127.0.0.1"], [PUBLIC_2]]), FakeClient()
    assert post(resolver, client) == HookAnswer(200)
    assert len(resolver.asked) == 1
    with pytest.raises(AddressRefused):
        post(resolver, client)
    assert post(resolver, client) == HookAnswer(200)
    assert client.connected == [PUBLIC_1, PUBLIC_2]


def test_a_receiver_that_is_excepted_may_be_anywhere_and_is_pinned_all_the_same() -> None:
    client = FakeClient()
    post(FakeResolver([["10.1.2.3"]]), client, "http://hooks.internal:8080/", ["hooks.internal:8080"])
    assert client.connected == ["10.1.2.3"]


@pytest.mark.parametrize("fault", [OSError("no such name"), UnicodeError("label too long"), []])
def test_a_name_that_stands_for_nothing_is_refused_without_being_repeated(fault: Exception | list[str]) -> None:
    client = FakeClient()
    with pytest.raises(AddressRefused) as caught:
        post(FakeResolver([fault]), client)
    assert "shop" not in str(caught.value)
    assert client.connected == []


def test_a_name_server_that_hangs_ends_with_the_deadline() -> None:
    class Hanging(FakeResolver):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(AddressRefused, match=r"within 0\.02 s"):
        post(Hanging([]), FakeClient(), deadline=0.02)


def test_the_next_address_is_tried_as_long_as_nothing_was_sent() -> None:
    client = FakeClient([NotSent("no connection"), HttpAnswer(204, b"", 5.0)])
    assert post(FakeResolver([[PUBLIC_V6, PUBLIC_1]]), client) == HookAnswer(204, 5.0)
    assert client.connected == [PUBLIC_V6, PUBLIC_1]


def test_no_more_than_three_addresses_are_tried() -> None:
    client = FakeClient([NotSent("no connection (ConnectError)")])
    with pytest.raises(HookFailed, match="ConnectError"):
        post(FakeResolver([[f"1.1.1.{n}" for n in range(9)]]), client)
    assert len(client.connected) == 3


@pytest.mark.parametrize("fault", [MaybeSent("the connection broke"), NotSent("no connection", timed_out=True)])
def test_what_may_have_been_sent_and_what_took_the_whole_time_is_not_sent_to_the_next(fault: HttpError) -> None:
    client = FakeClient([fault])
    with pytest.raises(HookFailed):
        post(FakeResolver([[PUBLIC_1, PUBLIC_2]]), client)
    assert client.connected == [PUBLIC_1]


def test_closing_closes_what_it_works_with() -> None:
    client = FakeClient()
    asyncio.run(PinnedReceiver(URL, Target.parse(URL), client, FakeResolver([])).aclose())
    assert client.closed


async def resolve(host: str) -> Sequence[str]:
    return await SystemResolver().resolve(host, 443)


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("2130706433", ["127.0.0.1"]),
        ("0x7f.1", ["127.0.0.1"]),
        ("1.1.1.1", ["1.1.1.1"]),
    ],
)
def test_the_systems_resolver_gives_addresses_in_their_usual_spelling(host: str, addresses: list[str]) -> None:
    assert asyncio.run(resolve(host)) == addresses


def test_the_systems_resolver_knows_this_machine_by_its_name() -> None:
    found = asyncio.run(resolve("localhost"))
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


def test_the_systems_resolver_tells_each_address_once() -> None:
    def look_up(host: str, port: int) -> list[Endpoint]:
        return [(2, kind, 0, (address, port)) for kind in (1, 2) for address in (PUBLIC_1, "127.0.0.1")]

    assert asyncio.run(SystemResolver(look_up).resolve("a.example", 443)) == [PUBLIC_1, "127.0.0.1"]


# With our own client


def test_our_client_connects_to_the_address_it_is_given_and_asks_for_the_name() -> None:
    with RawGateway(says(http_answer(204))) as gateway:
        port = gateway.host.rpartition(":")[2]
        url = f"http://hooks.example:{port}/a"

        async def run() -> HookAnswer:
            client = GatewayClient()
            resolver = FakeResolver([["127.0.0.1"]])
            receiver = PinnedReceiver(url, Target.parse(url, [f"hooks.example:{port}"]), client, resolver)
            try:
                return await receiver.post(b"{}", {"Content-Type": "application/json"}, 15.0)
            finally:
                await receiver.aclose()

        assert asyncio.run(run()) == HookAnswer(204)
    assert f"Host: hooks.example:{port}".encode() in gateway.requests[0]
