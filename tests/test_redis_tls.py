"""`rediss://`: every call over TLS, to a server that is what its certificate says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from otp_service.errors import Unavailable
from otp_service.store import connect, connect_async
from otp_service.verification import Status
from tests.certificate import Certificate
from tests.cutting_proxy import CuttingProxy
from tests.world import MOVABLE, Server, World


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@pytest.fixture
def proxy(real_server: Server, certificate: Certificate) -> Iterator[CuttingProxy]:
    for script in MOVABLE.values():
        real_server.client.script_load(script.text)
    with CuttingProxy(real_server.url, certificate.server) as proxy:
        yield proxy


def world_at(url: str) -> World:
    return World(Server(connect(url), lambda: connect_async(url, 1.0), url))


@pytest.fixture
def world(proxy: CuttingProxy, certificate: Certificate) -> Iterator[World]:
    world = world_at(f"{proxy.url}?ssl_ca_certs={certificate.public}")
    yield world
    world.server.client.close()


def test_a_code_is_sent_and_proved(world: World) -> None:
    started = world.start().verification
    world.deliver()
    assert world.check(started.id, world.code_of(started.id)).verification.status is Status.APPROVED


def test_a_lost_reply_is_asked_for_again_and_counts_once(world: World, proxy: CuttingProxy) -> None:
    started = world.start().verification
    proxy.lose(MOVABLE["check"].sha)
    assert world.check(started.id, world.code_of(started.id)).verification.status is Status.APPROVED
    assert proxy.cut == 1


def test_a_server_whose_certificate_nobody_vouches_for_is_asked_nothing(proxy: CuttingProxy) -> None:
    world = world_at(proxy.url)
    with pytest.raises(Unavailable):
        world.start()
    world.server.client.close()


def test_an_authority_of_ones_own_is_taken_from_the_environment(
    proxy: CuttingProxy, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.public))
    world = world_at(proxy.url)
    world.start()
    world.deliver()
    world.server.client.close()
