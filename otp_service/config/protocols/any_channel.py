"""`AnyChannel`: a `[[channels]]` table, whose `protocol` says which."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from otp_service.config.protocols.aliyun import Aliyun
from otp_service.config.protocols.sms_aspx import SmsAspx
from otp_service.config.protocols.tencent import Tencent
from otp_service.config.protocols.twilio import Twilio
from otp_service.config.protocols.vonage import Vonage

AnyChannel = Annotated[SmsAspx | Twilio | Aliyun | Tencent | Vonage, Field(discriminator="protocol")]
