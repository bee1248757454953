"""T63: a webhook goes to the open Internet, whatever its address is made to look like."""

from __future__ import annotations

import socket

import pytest

from otp_service.egress import Target, is_public

PRIVATE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1
192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::7f00:1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 ::ffff:0:808:808
64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1
2001:20::1 2001:db8::1 2002::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1
fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%lo fe80::1%1 fec0::1 ff02::1 ff0e::1 2606:4700::1111%eth0
""".split()

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
168.63.129.15 2001:200::1 2001:4860:4860::8888 2003::1 2400:3200::1 2606:4700:4700::1111 2a00:1450::1 3ffe::1
""".split()

NO_ADDRESSES = "2130706433 0x7f.1 0x7f000001 0177.0.0.1 127.1 8.8.8 8.8.8.8.8 08.8.8.8 8.8.8.8/32 localhost".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_somebodys_own_network_is_not_public(address: str) -> None:
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
    """A second wall behind `Target.parse`: the resolver answers with the usual spelling."""
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    assert not any(is_public(str(address[0])) for *_, address in found)
