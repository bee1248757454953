"""The `sms.aspx` gateway family (企业信使 and its kin), and the miaodi industry API that is often spliced into it."""

from otp_service.channels.sms_aspx.answers import Verdict, judge, read_answer
from otp_service.channels.sms_aspx.channel import SmsAspxChannel
from otp_service.channels.sms_aspx.settings import SmsAspxSettings

__all__ = ["SmsAspxChannel", "SmsAspxSettings", "Verdict", "judge", "read_answer"]
