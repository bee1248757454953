"""Signatures against the examples that the vendors publish, for the simulator and for the callers of these tests."""

from __future__ import annotations

import pytest
from protocol_clients import acs3_authorization, standard_signature, tc3_authorization

from otp_service.simulator import signing

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ACS3_QUERY = {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
ACS3_HEADERS = {
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-content-sha256": NOTHING,
    "x-acs-date": "2023-10-26T10:22:32Z",
    "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    "x-acs-version": "2014-05-26",
}
ACS3 = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
"""Alibaba Cloud, "V3 request body and signature mechanism", its example with fixed parameters."""

TC3_BODY = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
TC3_SECRET = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
TC3 = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
"""Tencent Cloud, "Signature v3", its DescribeInstances example."""

WEBHOOK_BODY = b'{"event_type":"ping","data":{"success":true}}'
WEBHOOK = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
WEBHOOK_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
"""Svix, "Verifying webhooks manually"; Standard Webhooks is that scheme."""


def test_acs3_is_that_of_the_documents() -> None:
    query = b"RegionId=cn-shanghai&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"
    found = signing.acs3("YourAccessKeySecret", "POST", "/", query, ACS3_HEADERS, sorted(ACS3_HEADERS), b"")
    assert found == ACS3
    by_caller = acs3_authorization("YourAccessKeyId", "YourAccessKeySecret", "POST", "/", ACS3_QUERY, ACS3_HEADERS, b"")
    assert by_caller.endswith(f"Signature={ACS3}")


def test_tc3_is_that_of_the_documents() -> None:
    headers = {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"}
    scope = ("2019-02-25", "cvm")
    assert signing.tc3(TC3_SECRET, scope, "1551113065", headers, ["content-type", "host"], TC3_BODY) == TC3
    by_caller = tc3_authorization("AKID", TC3_SECRET, "cvm", headers["host"], "", "1551113065", TC3_BODY)
    assert by_caller.endswith(f"Signature={TC3}")


def test_the_signature_of_a_twilio_callback_is_that_of_the_documents() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    found = signing.twilio("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", fields)
    assert found == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_vonage_s_sig_is_that_of_its_libraries() -> None:
    """The example that the tests of Vonage's own libraries share: method md5hash, secret `secret`."""
    fields = {"a": "1", "b": "2", "timestamp": "1461605396", "sig": "left out"}
    assert signing.vonage("secret", fields) == "6af838ef94998832dbfc29020b564830"


def test_a_standard_webhook_is_signed_as_published() -> None:
    assert signing.webhook(WEBHOOK_SECRET, "msg_loFOjxBNrRLzqYUf", "1731705121", WEBHOOK_BODY) == WEBHOOK
    by_caller = standard_signature(WEBHOOK_SECRET, "msg_loFOjxBNrRLzqYUf", "1731705121", WEBHOOK_BODY)
    assert by_caller == WEBHOOK


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", ""])
def test_a_secret_that_holds_no_key_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing.webhook_key(secret)
