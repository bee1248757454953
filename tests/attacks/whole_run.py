"""A whole installation of real processes that says aloud all it can, and a caller who makes every call of the API."""

from __future__ import annotations

import base64
import json
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis

from otp_service.api_keys import id_of, new_key
from otp_service.store import RedisRevocations, connect
from otp_service.webhook_signature import sign
from tests import captcha_service
from tests.attacks import thief
from tests.captcha_service import CaptchaService
from tests.cli.processes import PATIENCE, ROOT, environment, free_port, until, valkey
from tests.raw_gateway import RawGateway, http_answer

REDIS_PASSWORD = "redis-password-5c1e"
GATEWAY_PASSWORD = "gateway-password-7f3a"
PROXY_PASSWORD = "proxy-password-9d20"
HOOK_TOKEN = "hook-token-44e1"
_CODE = re.compile(r"[0-9]{10}")
_CORE = re.compile(r"^Max core file size +([0-9]+)", re.MULTILINE)

_CONFIG = """
[service]
bind = "{api}"
admin_bind = "{admin}"
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
[redis]
url = "{redis}"
[purposes.login]
code_length = 10
cooldown = [1]
max_sends = 10
[purposes.signup]
code_length = 10
cooldown = [1]
resend = "rotate"
[limits]
recipient = ["10000/1h"]
prefix = ["10000/1h"]
client_ip = ["10000/1h"]
[delivery]
admin_bind = "{worker_admin}"
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = "http://{gateway}/sms.aspx"
profile = "classic"
account = "gateway-account-91bc"
password = "{gateway_password}"
signature = "今信科技"
reports = "push"
report_secret = "{report_secret}"
[[channels]]
name = "in-the-url"
protocol = "http_template"
method = "GET"
url = "http://{gateway}/send?to={{{{ digits }}}}&key={{{{ password }}}}&code={{{{ code }}}}&text={{{{ text }}}}"
account = "url-account"
password = "{gateway_password}"
signature = "今信科技"
accept = [{{ text = "ok" }}]
id = {{ text = "id=([0-9]++)" }}
[[channels]]
name = "by-proxy"
protocol = "http_template"
method = "GET"
proxy = "http://proxy-user:{proxy_password}@{gateway}"
url = "http://gateway.example/proxied?to={{{{ digits }}}}&key={{{{ password }}}}&text={{{{ text }}}}"
account = "url-account"
password = "{gateway_password}"
signature = "今信科技"
accept = [{{ text = "ok" }}]
[[webhooks]]
name = "told"
url = "http://{receiver}/events?token={hook_token}"
secrets = ["{hook_secret}"]
allow = ["{receiver}"]
[challenge]
verifier = "url"
url = "{captchas}/own"
secret = "{captcha_secret}"
[spend]
prices = {{ "*" = 0.05 }}
client = 100000
[[clients]]
name = "shop"
key_hashes = ["{key_hash}"]
[[clients]]
name = "guarded"
key_hashes = ["{guarded_hash}"]
challenge = "always"
"""


@dataclass
class Run:
    """One installation, what it was given, and what it said."""

    folder: Path
    api: httpx.Client
    admin: list[httpx.Client]
    key: str
    redis: redis.Redis
    redis_url: str
    gateway: RawGateway
    receiver: RawGateway
    report_secret: str
    pids: dict[str, int]
    guarded_key: str
    """Of a client whose every start needs a CAPTCHA token."""
    captchas: CaptchaService
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[httpx.Response] = field(default_factory=list)
    _names: int = 0

    def call(self, method: str, path: str, body: Any = None, status: int | None = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.key}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        content = json.dumps(body).encode() if body is not None else None
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = self.api.request(method, path, content=content, headers=sent)
        self.answers.append(answer)
        assert status is None or answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json() if "json" in answer.headers["content-type"] else None

    def post(self, path: str, body: Any = None, status: int | None = None, **headers: str) -> Any:
        self._names += 1
        name = self.secret(f"idempotency key {self._names}", f"idempotency-{secrets.token_hex(8)}")
        return self.call("POST", path, {} if body is None else body, status, **{"Idempotency_Key": name, **headers})

    def secret(self, name: str, value: str) -> str:
        self.secrets[name] = value
        return value

    def core_limits(self, name: str) -> set[str]:
        """The bytes that a crash of this command's processes may write to the disk."""
        pids = [self.pids[name], *_children(self.pids[name])]
        return {_CORE.findall(Path(f"/proc/{pid}/limits").read_text())[0] for pid in pids}

    def codes_sent(self, national: str) -> list[str]:
        """As the gateway got them, whatever way it was asked."""
        found = []
        for request in list(self.gateway.requests):
            text = httpx.QueryParams((request.partition(b"\r\n\r\n")[2] or _query(request)).decode())
            if national in str(text):
                shown = text.get("content") or text.get("text") or ""
                found += _CODE.findall(shown)
        return found

    def code(self, national: str, already: int = 0) -> str:
        """The latest, once there are more than `already`."""
        until(lambda: len(self.codes_sent(national)) > already, f"a code for a number ending in {national[-4:]}")
        sent = self.codes_sent(national)
        return self.secret(f"code {len(self.secrets)}", sent[-1])


def _query(request: bytes) -> bytes:
    return request.split(b" ", 2)[1].partition(b"?")[2]


@contextmanager
def installation(folder: Path) -> Iterator[Run]:
    key, guarded, hook_secret, report_secret = new_key(), new_key(), _hook_secret(), _hook_secret()
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    random = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]
    said = http_answer(body=b"")
    with ExitStack() as stack:
        gateway = stack.enter_context(RawGateway(lambda line: _answers(gateway, line)))
        receiver = stack.enter_context(RawGateway(lambda line: line.sendall(said)))
        captchas = stack.enter_context(captcha_service.serving())
        (folder / "redis").mkdir()
        options = ("--appendonly", "yes", "--appendfsync", "always", "--rdbcompression", "no")
        more = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000", "--requirepass", REDIS_PASSWORD)
        url = stack.enter_context(valkey(folder / "redis", *options, *more))
        url = url.replace("://", f"://:{REDIS_PASSWORD}@")
        config = folder / "otp.toml"
        config.write_text(
            _CONFIG.format(
                api=addresses[0],
                admin=addresses[1],
                worker_admin=addresses[2],
                secret=random[0],
                fingerprint=random[1],
                redis=url,
                gateway=gateway.host,
                receiver=receiver.host,
                gateway_password=GATEWAY_PASSWORD,
                proxy_password=PROXY_PASSWORD,
                hook_token=HOOK_TOKEN,
                hook_secret=hook_secret,
                report_secret=report_secret,
                captchas=captchas.url,
                captcha_secret=captcha_service.OWN_SECRET,
                key_hash=key.hash,
                guarded_hash=guarded.hash,
            ),
            "utf-8",
        )
        pids = {name: stack.enter_context(_process(name, config, folder)) for name in ("serve", "worker")}
        clients = [stack.enter_context(httpx.Client(base_url=f"http://{one}", trust_env=False)) for one in addresses]
        for client in clients:
            until(lambda client=client: _is_ready(client), "ready")
        run = Run(
            folder, clients[0], clients[1:], key.text, connect(url), url, gateway, receiver, report_secret, pids,
            guarded.text, captchas,
            {
                "API key": key.text,
                "API key of the guarded client": guarded.text,
                "secret of the CAPTCHA service": captcha_service.OWN_SECRET.removeprefix("whsec_"),
                "secret of the API key": key.text[12:-6],
                "Redis password": REDIS_PASSWORD,
                "gateway password": GATEWAY_PASSWORD,
                "proxy password": PROXY_PASSWORD,
                "proxy login": base64.b64encode(f"proxy-user:{PROXY_PASSWORD}".encode()).decode(),
                "token of the webhook": HOOK_TOKEN,
                "webhook secret": hook_secret.removeprefix("whsec_"),
                "report secret": report_secret.removeprefix("whsec_"),
                "secret key": random[0],
                "fingerprint key": random[1],
            },
        )  # fmt: skip
        yield run


def _hook_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def _process(name: str, config: Path, folder: Path) -> Iterator[int]:
    command = [sys.executable, "-X", "dev", "-m", "tests.attacks.loud", name, "--config", str(config)]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), cwd=ROOT)
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def _answers(gateway: RawGateway, line: Any) -> None:
    """Repeats in its words all that it was told; who asks for 0009 is refused by every channel but the last."""
    request = gateway.requests[-1]
    head = request.split(b"\r\n")[0]
    given = httpx.QueryParams((request.partition(b"\r\n\r\n")[2] or _query(request)).decode())
    to, text = given.get("mobile") or given.get("to") or "", given.get("content") or given.get("text")
    words = f"{to} {text} {GATEWAY_PASSWORD}"
    is_refused = to.endswith("0009") and b"proxied" not in head
    id = str(len(gateway.requests) + 93390000)
    if b"sms.aspx" in head:
        status = "Faild" if is_refused else "Success"
        body = f"<returnstatus>{status}</returnstatus><message>{words}</message><taskID>{id}</taskID>"
        body = f"<returnsms>{body}</returnsms>"
    else:
        body = f"no {words}" if is_refused else f"ok id={id} {words}"
    line.sendall(http_answer(body=body.encode(), headers={"X-Echo": GATEWAY_PASSWORD, "Set-Cookie": f"a={id}"}))


# --- every call -------------------------------------------------------------------------------------------------------


def make_every_call(run: Run) -> None:
    person = {
        "session": run.secret("session", "session-of-the-person"),
        "context": {"amount": run.secret("amount", "987654.32 EUR"), "payee": run.secret("payee", "payee of it")},
    }
    start = {
        **person,
        "purpose": "login",
        "device": run.secret("device", "device-of-the-person"),
        "client_ip": run.secret("address", "198.51.100.77"),
        "metadata": {"order": run.secret("order", "order of the person")},
    }
    number = _number(run, "13800138001")
    key = run.secret("key of the start", "key-of-the-start-0123456")
    id = run.post("/v1/verifications", {"to": number, **start}, 201, Idempotency_Key=key)["id"]
    run.post("/v1/verifications", {"to": number, **start}, 201, Idempotency_Key=key)
    run.post("/v1/verifications", {"to": number, "purpose": "signup"}, 422, Idempotency_Key=key)
    code = run.code("13800138001")
    wrong = run.secret("wrong code", f"{(int(code) + 1) % 10**10:010d}")
    run.post(f"/v1/verifications/{id}/check", {**person, "code": wrong}, 422)
    run.post("/v1/verifications/check", {**person, "to": number, "purpose": "login", "code": wrong}, 422)
    run.post(f"/v1/verifications/{id}/check", {"code": code}, 400)
    run.post(
        f"/v1/verifications/{id}/check",
        {**person, "session": run.secret("other session", "session of another"), "code": code},
        422,
    )
    run.post("/v1/verifications", {"to": number, **start}, None)
    time.sleep(1.1)
    run.post(f"/v1/verifications/{id}/resend", {"channel": "in-the-url"}, 200)
    run.code("13800138001", already=1)
    approved = run.post(f"/v1/verifications/{id}/check", {**person, "code": code, "device": start["device"]}, 200)
    token = run.secret("token", approved["token"])
    run.secret("payload of the token", token.split(".")[1])
    proof = {"token": token, "purpose": "login", "to": number, **person}
    run.post("/v1/tokens/verify", {**proof, "consume": True}, 200)
    run.post("/v1/tokens/verify", {**proof, "consume": True}, 410)
    run.post("/v1/tokens/verify", {**proof, "purpose": "signup"}, 403)
    run.post("/v1/tokens/verify", {**proof, "token": token[:-1] + "A"}, 403)
    run.call("GET", f"/v1/verifications/{id}", None, 200)
    run.post("/v1/verifications/lookup", {"to": number}, 200)
    run.post("/v1/recipients/enable", {"to": number}, 200)
    run.post(f"/v1/verifications/{id}/check", {**person, "code": code}, 410)
    _other_ends(run, start)
    _challenged(run, start)
    _every_channel(run, start)
    _reports(run, start)
    _refusals(run, number, code, token)
    _pages(run)
    until(lambda: len(run.receiver.requests) > 5, "events")


def _number(run: Run, national: str) -> str:
    run.secret(f"national {national}", national)
    run.secret(f"number {national}", f"86{national}")
    return f"+86 {national[:3]} {national[3:7]} {national[7:]}"


def _other_ends(run: Run, start: dict[str, Any]) -> None:
    """Exhausted, canceled, rotated, pretended."""
    for purpose, national in (("login", "13800138002"), ("signup", "13800138003")):
        number = _number(run, national)
        id = run.post("/v1/verifications", {"to": number, **start, "purpose": purpose}, 201)["id"]
        first = run.code(national)
        time.sleep(1.1)
        run.post("/v1/verifications", {"to": number, **start, "purpose": purpose}, 200)
        run.code(national, already=1)
        facts = {"session": start["session"], "context": start["context"]}
        for _ in range(5):
            run.post(f"/v1/verifications/{id}/check", {**facts, "code": f"{(int(first) + 1) % 10**10:010d}"}, 422)
        run.post(f"/v1/verifications/{id}/check", {**facts, "code": first}, 410)
    number = _number(run, "13800138004")
    id = run.post("/v1/verifications", {"to": number, **start}, 201, Prefer="wait=5")["id"]
    run.code("13800138004")
    for _ in range(2):
        run.call("DELETE", f"/v1/verifications/{id}", None, 200)
    number = _number(run, "13800138005")
    run.post("/v1/verifications", {"to": number, **start, "deliver": False}, 201)
    run.post("/v1/verifications/lookup", {"to": number}, 200)


def _challenged(run: Run, start: dict[str, Any]) -> None:
    """Asked for a CAPTCHA; with a wrong token, a good one, and the same again; then the key is revoked."""
    wanted = {**start, "to": _number(run, "13800138007")}
    key = {"Authorization": f"Bearer {run.guarded_key}"}
    good = run.secret("CAPTCHA token", "captcha-token-of-the-person-4b1d")
    bad = run.secret("wrong CAPTCHA token", "captcha-token-of-nobody-90ce")
    run.captchas.good.add(good)
    run.post("/v1/verifications", wanted, 422, **key)
    run.post("/v1/verifications", {**wanted, "captcha_token": bad}, 422, **key)
    run.post("/v1/verifications", {**wanted, "captcha_token": good}, 201, **key)
    run.post("/v1/verifications", {**wanted, "captcha_token": good}, 422, **key)
    run.code("13800138007")
    RedisRevocations(run.redis).revoke(id_of(run.guarded_key), "an administrator")
    until(lambda: run.api.post("/v1/verifications", headers=key).status_code == 401, "the revoked key to be refused")
    run.post("/v1/verifications", wanted, 401, **key)


def _every_channel(run: Run, start: dict[str, Any]) -> None:
    """One after another refuses with the number and the code in its words, and one whose id spells the number."""
    number = _number(run, "13800130009")
    id = run.post("/v1/verifications", {"to": number, **start}, 201)["id"]
    run.code("13800130009", already=2)
    until(lambda: len(run.call("GET", f"/v1/verifications/{id}")["tries"]) == 3, "three tries")
    until(lambda: run.call("GET", f"/v1/verifications/{id}")["tries"][2]["outcome"], "the third's outcome")


def _reports(run: Run, start: dict[str, Any]) -> None:
    number = _number(run, "13800138006")
    id = run.post("/v1/verifications", {"to": number, **start}, 201)["id"]
    run.code("13800138006")
    until(lambda: run.call("GET", f"/v1/verifications/{id}")["delivery"] == "accepted", "accepted")
    [only] = run.call("GET", f"/v1/verifications/{id}")["tries"]
    stranger = run.secret("number of a stranger", "13911112222")
    rows = [
        {"mobile": "13800138006", "taskid": only["gateway_id"], "status": "20", "errorcode": "13800138006 refused"},
        {"mobile": stranger, "taskid": "77777777", "status": "10"},
    ]
    body = json.dumps({"statusbox": rows, "error": "1"}).encode()
    signed = sign([run.report_secret], "m1", int(time.time()), body)
    for headers in (
        signed,
        signed,
        {},
        {"Authorization": f"Bearer {run.secret('forged secret', 'forged-secret-13911112222')}"},
    ):
        run.answers.append(run.api.post("/reports/primary", content=body, headers=headers))
    run.answers.append(run.api.post(f"/reports/{stranger}?secret={GATEWAY_PASSWORD}", content=body, headers=signed))
    reply = {
        "deliverbox": [{"mobile": stranger, "content": "退订", "taskid": "1", "receivetime": "2026-01-01 00:00:00"}]
    }
    body = json.dumps(reply).encode()
    run.answers.append(
        run.api.post("/reports/primary", content=body, headers=sign([run.report_secret], "m2", int(time.time()), body))
    )
    until(lambda: run.call("GET", f"/v1/verifications/{id}")["tries"][0].get("report"), "a report")


def _refusals(run: Run, number: str, code: str, token: str) -> None:
    """Every secret in every place where it does not belong."""
    for value in (number.replace(" ", ""), code, token, run.key, "198.51.100.77"):
        for path in (f"/{value}", f"/v1/verifications/{value}", f"/problems/{value}", f"/docs?x={value}"):
            for method in ("GET", "POST", "DELETE", "PUT"):
                run.call(method, path, None if method == "GET" else {value: value})
        for body in (
            {value: value},
            {"to": value, "purpose": value},
            {"to": number, "purpose": "login", "client_ip": value, "locale": value, "channel": value},
            {"to": number, "purpose": "login", "session": f"{value}\n", "context": {value: 1}},
            {"to": f"{value}99999", "purpose": "login"},
            [value],
            value,
        ):
            run.call("POST", "/v1/verifications", body)
            run.call("POST", "/v1/verifications/check", body)
            run.call("POST", "/v1/tokens/verify", body)
            run.call("POST", "/v1/verifications/lookup", body)
            run.call("POST", "/v1/recipients/enable", body)
        run.call("GET", "/v1/verifications/ver_0", None, None, Authorization=f"Bearer {value}")
        run.call("GET", "/livez", None, None, X_Request_Id=value, User_Agent=f"{value}%0a", X_Forwarded_For=value)
        run.call("POST", "/v1/verifications", {}, None, Idempotency_Key=value, Prefer=value, Content_Type=value)
    for raw in (f"GET /{number} HTTP/1.1", number, f"GET / HTTP/1.1\r\nA: {number}\0", f"{number} / HTTP/1.1"):
        for client in (run.api, *run.admin):
            said = thief.spoken(client.base_url.host, client.base_url.port or 80, f"{raw}\r\n\r\n".encode())
            run.answers.append(httpx.Response(400, content=said))


def _pages(run: Run) -> None:
    for path in ("/docs", "/openapi.json", "/problems/", "/livez", "/readyz", "/debug", "/console", "/metrics"):
        run.answers.append(run.api.get(path))
    for client in run.admin:
        for path in ("/metrics", "/livez", "/readyz", "/13800138001"):
            run.answers.append(client.get(path))
