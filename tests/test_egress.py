"""T63: a webhook goes to the open Internet, whatever its address is made to look like."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from otp_service.egress import Target, is_public

ADDRESSES = json.loads((Path(__file__).parent / "data" / "addresses.json").read_text("utf-8"))
PRIVATE, PUBLIC, NO_ADDRESSES = ADDRESSES["private"], ADDRESSES["public"], ADDRESSES["no_addresses"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_somebodys_own_network_is_not_public(address: str) -> None:
    """T63."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_beside_those_is_public(address: str) -> None:
    """The edges of each range: one that is refused by mistake is a receiver that can't be told."""
    assert is_public(address)


@pytest.mark.parametrize("text", [*NO_ADDRESSES, "", " 8.8.8.8", "8.8.8.8\n", "[::1]", "８.8.8.8"])
def test_what_is_no_address_in_its_usual_spelling_is_not_public(text: str) -> None:
    assert not is_public(text)


REFUSED = [
    # our own network, by address and by name
    *(f"https://{address}/" for address in PRIVATE if ":" not in address),
    *(f"https://[{address}]/" for address in PRIVATE if ":" in address),
    "https://localhost/",
    "https://LOCALHOST/",
    "https://redis/",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    # an address in disguise
    *(f"https://{text}/" for text in NO_ADDRESSES if "/" not in text),
    "https://0x7f.0.0.1/",
    "https://0300.0250.0.1/",
    "https://example.0x7f/",
    "https://example.1/",
    "https://127.0.0.1./",
    "https://localhost./",
    "https://[fe80::1%25lo]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[2606:4700:4700:0:0:0:0:1111]/",
    "https://①②⑦.0.0.1/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://%31%32%37.0.0.1/",
    # one address to one reader, another to the next
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://user:word@example.com/",
    "https://@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com#@127.0.0.1/",
    "https://example.com/#",
    "https://example.com /",
    "https://example.com\r\nHost: a/",
    "https://exam\tple.com/",
    "https://example.com\x00.a/",
    # other ports, other protocols
    "https://example.com:6379/",
    "https://example.com:80/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:-1/",
    "https://example.com:4e2/",
    "http://example.com/",
    "http://example.com:443/",
    "ftp://example.com/",
    "gopher://example.com:443/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//example.com/",
    "example.com",
    "https://",
    "https:///a",
    "https://[/",
    "https://[::1/",
    "https://a..b/",
    "https://-a.com/",
    f"https://{'a' * 64}.com/",
    f"https://{'a.' * 130}com/",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_leads_elsewhere_is_refused_and_not_repeated(url: str) -> None:
    """T63."""
    with pytest.raises(ValueError, match=r"^(holds|not|its)") as caught:
        Target.parse(url)
    assert len(url) < 9 or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://shop.example.com/otp?token=s3cret", "shop.example.com", 443),
        ("https://Shop.Example.COM:8443/a", "shop.example.com", 8443),
        ("HTTPS://example.com", "example.com", 443),
        ("https://xn--fiq228c.com/", "xn--fiq228c.com", 443),
        ("https://a_b.example.com:443/", "a_b.example.com", 443),
        ("https://1.1.1.1/", "1.1.1.1", 443),
        ("https://[2606:4700:4700::1111]:8443/", "2606:4700:4700::1111", 8443),
    ],
)
def test_a_url_of_the_open_internet_is_taken(url: str, host: str, port: int) -> None:
    assert Target.parse(url) == Target(host, port, allowed=False)


@pytest.mark.parametrize(
    ("url", "allow", "host"),
    [
        ("http://hooks.internal:8080/a", "hooks.internal:8080", "hooks.internal"),
        ("https://hooks.internal:8080/a", "Hooks.Internal:8080", "hooks.internal"),
        ("http://hooks/a", "hooks:80", "hooks"),
        ("https://10.0.0.1/a", "10.0.0.1:443", "10.0.0.1"),
        ("http://[::1]:9/a", "[::1]:9", "::1"),
    ],
)
def test_a_receiver_in_ones_own_network_is_excepted_by_its_host_and_port(url: str, allow: str, host: str) -> None:
    target = Target.parse(url, [allow])
    assert (target.host, target.allowed) == (host, True)


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("http://hooks.internal:8081/", "hooks.internal:8080"),
        ("http://a.hooks.internal:8080/", "hooks.internal:8080"),
        ("http://hooks.internal/", "hooks.internal:8080"),
        ("https://10.0.0.2/", "10.0.0.1:443"),
        ("https://user@10.0.0.1/", "10.0.0.1:443"),
        ("https://0x0a000001/", "0x0a000001:443"),
    ],
)
def test_an_exception_is_exact(url: str, allow: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Target.parse(url, [allow])


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "0", "::ffff:127.0.0.1"])
def test_what_the_system_reads_as_an_address_is_judged_as_what_it_reads(host: str) -> None:
    """T63: a second wall behind `Target.parse`: the resolver answers with the usual spelling."""
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    assert not any(is_public(str(address[0])) for *_, address in found)
