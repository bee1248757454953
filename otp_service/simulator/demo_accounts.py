"""The account that each protocol has from the start: ids and secrets for demos. They open nothing but a simulator."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.simulator.protocol_words import Protocol


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """`name` is what the simulator's API calls it; `id` and `secret` are what a client of the protocol is given."""

    name: str
    protocol: Protocol
    id: str
    secret: str
    report_secret: str = ""
    """Signs reports, where another secret than the account's does."""


DEMO = {
    found.protocol.value: found
    for found in (
        DemoAccount("demo", Protocol.SMS_ASPX, "demo", "demo"),
        DemoAccount("demo-twilio", Protocol.TWILIO, "AC" + "0" * 32, "demo-auth-token"),
        DemoAccount("demo-aliyun", Protocol.ALIYUN, "LTAIdemo", "demo-access-key-secret"),
        DemoAccount("demo-tencent", Protocol.TENCENT, "AKIDdemo", "demo-secret-key"),
        DemoAccount("demo-vonage", Protocol.VONAGE, "00000000", "demo-api-secret", "demo-signature-secret"),
        DemoAccount("demo-webhook", Protocol.WEBHOOK, "demo", "whsec_ZGVtby13ZWJob29rLXNlY3JldC0wMDAwMDAwMA=="),
    )
}
"""By protocol. Twilio: Account SID and Auth Token. Aliyun: AccessKey id and secret. Tencent: SecretId and SecretKey.
Vonage: api_key, api_secret and signature secret (md5hash). Webhook: the last piece of the
path, and the Standard Webhooks secret."""
