"""Every field of every call, with whatever may stand in JSON: a good request with one thing wrong goes deepest."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from otp_service.api_keys import ClientKeys, new_key
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.world import NUMBER, SHOP, UNLIMITED, World

ODD_TEXTS = (
    *("", " ", "\x00", "\x1b[31m", "\r\nSet-Cookie: a=b", "\u202e", "\u200b", "\ufeff", "\u2028", "\ufffd", "\uffff"),
    *(
        "e\u0301",
        "\u1112\u1161\u11ab",
        "ſ",
        "ﬃ",
        "İ",
        "ß",
        "😀",
        "👨‍👩‍👧",
        "\U0010ffff",
        "Ａ",
        "𝟑𝟒𝟓𝟔𝟕𝟖",
        "\ufdfa" * 200,
    ),
    *(
        "x" * 255,
        "x" * 256,
        "x" * 5000,
        "é" * 255,
        "😀" * 255,
        "../../etc/passwd",
        "%00",
        "%0a",
        "{0.__class__}",
        "{{7*7}}",
    ),
    *("' OR 1=1--", "${jndi:ldap://x}", "<script>", "}{", "*", "ver_", "otp_x", "null", "true", "NaN", "1e309", "-0"),
    *("::1", "::ffff:1.2.3.4", "0.0.0.0", "255.255.255.255", "fe80::1%25lo", "1.2.3.4\n", "０１", "2001:db8::/32", "1"),
    *("zh-CN", "zh-cn-x-a", "en-" + "a" * 8, "i-klingon", "x-", "primary", "backup", "login", "signup", NUMBER),
    *("13800138000", "345678", "000000", "a.b.c", "....", "a" * 4096, "a." * 2000, "eyJ.\ud7ff.x"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(True, False, 0, -1, 1.5, 1e308, 2**63, 10**400, [], {}, [[]], {"": ""}, {"a": {}}, {"a": None}, ["a"], {"a": 1}),
    *({str(n): "x" for n in range(11)}, {"x" * 1023: ""}, {"é" * 512: ""}, {"a": "x" * 1023}, {"\x00": "\x00"}),
)
STATUSES = {200, 201, 400, 403, 404, 410, 413, 422, 429, 503}


class Fuzz:
    """Good requests with something odd in a place that chance chooses."""

    def __init__(self, world: World, seed: int) -> None:
        key = new_key()
        world.with_rules(limits=UNLIMITED)
        self.world = world
        self.chance = random.Random(seed)
        self.secrets = ("13800138000", key.text)
        self.headers = {"Authorization": f"Bearer {key.text}", "Content-Type": "application/json"}
        service = Service(world.verifier, ClientKeys([(SHOP, [key.hash])]), lambda: False, "1")
        self.http: FlaskClient = create_app(service).test_client()

    def good(self) -> tuple[str, dict[str, Any]]:
        """A path and a body that would be served."""
        id = self.world.start(session=str(self.chance.random())).verification.id
        rest = {"session": "s", "context": {"a": "b"}, "device": "d"}
        start = {"to": NUMBER, "purpose": "login", "locale": "en", "client_ip": "192.0.2.1", "metadata": {"a": "b"}}
        return self.chance.choice(
            [
                ("/v1/verifications", start | rest | {"deliver": True, "channel": "primary"}),
                (f"/v1/verifications/{id}/check", {"code": "345678", "purpose": "login", "to": NUMBER} | rest),
                (f"/v1/verifications/{id}/resend", {"channel": "backup", "exclude_last": False}),
                ("/v1/verifications/check", {"code": "345678", "purpose": "login", "to": NUMBER} | rest),
                ("/v1/verifications/lookup", {"to": NUMBER}),
                ("/v1/tokens/verify", {"token": "a.b.c", "to": NUMBER, "purpose": "login", "consume": True} | rest),
            ]
        )

    def odd(self) -> Any:
        return self.chance.choice(ODD_TEXTS if self.chance.random() < 0.7 else ODD_VALUES)

    def send(self) -> tuple[int, str, bytes]:
        path, body = self.good()
        for name in self.chance.choices(sorted(body), k=self.chance.choice([0, 1, 1, 1, 2])):
            body[name] = self.odd()
        if self.chance.random() < 0.1:
            body[self.chance.choice(ODD_TEXTS)] = self.odd()
        if self.chance.random() < 0.2:
            path = path.replace("ver_", "") if self.chance.random() < 0.5 else f"/v1/verifications/{self.odd()}/check"
        headers = dict(self.headers)
        if self.chance.random() < 0.2:
            key = self.chance.choice(ODD_TEXTS).replace("\n", "").replace("\r", "")
            headers["Idempotency-Key"] = key.encode().decode("latin-1")
        data = json.dumps(body, ensure_ascii=self.chance.random() < 0.5).encode("utf-8", "surrogatepass")
        answer = self.http.post(path, data=data, headers=headers)
        return answer.status_code, answer.content_type, answer.data


def assert_judged(world: World, seed: int, count: int) -> Counter[int]:
    """Each is served or refused by name; none is a mistake of ours, and none comes back with what it held."""
    fuzz, seen = Fuzz(world, seed), Counter[int]()
    with capture_logs() as lines:
        for _ in range(count):
            status, kind, data = fuzz.send()
            seen[status] += 1
            assert status in STATUSES, data
            assert kind == ("application/json" if status < 400 else "application/problem+json")
            json.loads(data)
            assert not [secret for secret in fuzz.secrets if secret.encode() in data]
    assert not [line for line in lines if line["log_level"] == "error"]
    assert not [line for line in lines if any(secret in str(line) for secret in fuzz.secrets)]
    return seen


def test_a_good_request_with_something_odd_in_it_is_judged(world: World) -> None:
    """T13, T15, T51, T53, small: served, or refused by name."""
    assert {201, 400} <= assert_judged(world, 1, 60).keys()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_ten_thousand_good_requests_with_something_odd_in_them_are_judged(real_world: World, seed: int) -> None:
    """T13, T15, T51, T53: four times 2,500."""
    assert {200, 201, 400, 404, 422} <= assert_judged(real_world, seed, 2_500).keys()
