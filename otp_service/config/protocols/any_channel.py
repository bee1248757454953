"""`AnyChannel`: a `[[channels]]` table, whose `protocol` says which."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from otp_service.config.protocols.aliyun import Aliyun
from otp_service.config.protocols.email import Email
from otp_service.config.protocols.http_template import HttpTemplate
from otp_service.config.protocols.smpp import Smpp
from otp_service.config.protocols.sms_aspx import SmsAspx
from otp_service.config.protocols.tencent import Tencent
from otp_service.config.protocols.twilio import Twilio
from otp_service.config.protocols.vonage import Vonage
from otp_service.config.protocols.webhook import Webhook

AnyChannel = Annotated[
    SmsAspx | Twilio | Aliyun | Tencent | Vonage | HttpTemplate | Webhook | Smpp | Email,
    Field(discriminator="protocol"),
]
