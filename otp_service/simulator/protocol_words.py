"""The protocols, and what each but sms.aspx says for a refusal: its own code, its own words, its HTTP status.

A refusal that a protocol has no words for can't happen there: its check is left out, its fault is not met. The codes
are those of the vendors' public documents (Twilio error dictionary, Alibaba Cloud and Tencent Cloud SMS error codes,
Vonage SMS API errors); texts are theirs in meaning. `unmapped` is a code that no client knows, on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    SMS_ASPX = "sms_aspx"
    TWILIO = "twilio"
    ALIYUN = "aliyun"
    TENCENT = "tencent"
    VONAGE = "vonage"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Said:
    """One refusal in a protocol's words. `whole`: the request is refused rather than the number (Tencent only)."""

    code: str
    message: str
    status: int = 200
    whole: bool = False


_TWILIO = {
    "credentials_missing": Said("20003", "Authentication Error - No credentials provided", 401),
    "credentials": Said("20003", "Authenticate", 401),
    "mobile": Said("21604", "A 'To' phone number is required.", 400),
    "number": Said("21211", "The 'To' number is not a valid phone number.", 400),
    "blacklist": Said("21610", "Attempt to send to unsubscribed recipient", 400),
    "sender": Said("21603", "A 'From' phone number is required.", 400),
    "content": Said("21602", "Message body is required.", 400),
    "content_length": Said("21617", "The concatenated message body exceeds the 1600 character limit", 400),
    "frequency": Said("20429", "Too Many Requests", 429),
    "balance": Said("20005", "Account not active", 403),
    "suspended": Said("20005", "Account not active", 403),
    "ip": Said("20403", "Forbidden", 403),
    "other": Said("20500", "Internal Server Error", 500),
    "busy": Said("20503", "Service unavailable", 503),
    "unmapped": Said("29999", "Something else", 400),
}

_ALIYUN = {
    "action": Said("InvalidAction.NotFound", "Specified api is not found, please check your url and method.", 404),
    "credentials_missing": Said("MissingAuthorization", "Authorization is mandatory for this action.", 400),
    "credentials": Said("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404),
    "sign": Said("SignatureDoesNotMatch", "Specified signature does not match our calculation.", 400),
    "timestamp": Said("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.", 400),
    "nonce": Said("SignatureNonceUsed", "Specified signature nonce was used already.", 400),
    "mobile": Said("MissingPhoneNumbers", "PhoneNumbers is mandatory for this action.", 400),
    "number": Said("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误"),
    "content": Said("MissingTemplateCode", "TemplateCode is mandatory for this action.", 400),
    "content_length": Said("isv.PARAM_LENGTH_LIMIT", "参数超出长度限制"),
    "signature": Said("isv.SMS_SIGNATURE_ILLEGAL", "签名不合法(不存在或被拉黑)"),
    "template": Said("isv.SMS_TEMPLATE_ILLEGAL", "模版不合法(不存在或被拉黑)"),
    "parameters": Said("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值"),
    "keyword": Said("isv.BLACK_KEY_CONTROL_LIMIT", "模板变量中存在黑名单关键字"),
    "extno": Said("isv.EXTEND_CODE_ERROR", "扩展码使用错误"),
    "batch": Said("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制"),
    "frequency": Said("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"),
    "balance": Said("isv.AMOUNT_NOT_ENOUGH", "账户余额不足"),
    "ip": Said("isv.DENY_IP_RANGE", "源IP地址所在的地区被禁用"),
    "suspended": Said("isv.ACCOUNT_ABNORMAL", "账户异常"),
    "account_expired": Said("isv.OUT_OF_SERVICE", "业务停机"),
    "sensitive": Said("isv.SMS_CONTENT_ILLEGAL", "短信内容包含禁止发送内容"),
    "other": Said("isp.SYSTEM_ERROR", "系统出现错误，请重新调用"),
    "busy": Said("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503),
    "unmapped": Said("isv.SOMETHING_ELSE", "操作失败"),
}

_TENCENT = {
    "action": Said("InvalidAction", "接口不存在。", whole=True),
    "credentials_missing": Said("AuthFailure.InvalidAuthorization", "请求头部的 Authorization 不正确。", whole=True),
    "credentials": Said("AuthFailure.SecretIdNotFound", "密钥不存在。", whole=True),
    "sign": Said("AuthFailure.SignatureFailure", "签名错误。", whole=True),
    "timestamp": Said("AuthFailure.SignatureExpire", "签名过期。", whole=True),
    "parameters": Said("InvalidParameter", "参数错误。", whole=True),
    "mobile": Said("MissingParameter", "缺少参数 PhoneNumberSet。", whole=True),
    "content": Said("MissingParameter", "缺少参数 TemplateId。", whole=True),
    "number": Said("InvalidParameterValue.IncorrectPhoneNumber", "incorrect phone number"),
    "blacklist": Said("FailedOperation.PhoneNumberInBlacklist", "phone number in blacklist"),
    "content_length": Said("InvalidParameterValue.ContentLengthLimit", "content length limit"),
    "signature": Said("FailedOperation.SignatureIncorrectOrUnapproved", "signature incorrect or unapproved"),
    "template": Said("FailedOperation.TemplateIncorrectOrUnapproved", "template incorrect or unapproved"),
    "keyword": Said("FailedOperation.ContainSensitiveWord", "contains sensitive words"),
    "sensitive": Said("FailedOperation.ContainSensitiveWord", "contains sensitive words"),
    "batch": Said("LimitExceeded.PhoneNumberCountLimit", "单次请求号码个数超过上限。", whole=True),
    "frequency": Said("LimitExceeded.PhoneNumberThirtySecondLimit", "the number of SMS messages exceeds 30 s limit"),
    "balance": Said("FailedOperation.InsufficientBalanceInSmsPackage", "insufficient balance in SMS package"),
    "ip": Said("UnauthorizedOperation.RequestIpNotInWhitelist", "请求 IP 不在白名单中。", whole=True),
    "suspended": Said("UnauthorizedOperation.SdkAppIdIsDisabled", "SdkAppId is disabled"),
    "other": Said("InternalError.OtherError", "other error"),
    "busy": Said("RequestLimitExceeded", "请求的次数超过了频率限制。", whole=True),
    "unmapped": Said("FailedOperation.SomethingElse", "something else"),
}

_VONAGE = {
    "frequency": Said("1", "Throughput Rate Exceeded - please wait and retry"),
    "credentials_missing": Said("2", "Missing api_key or api_secret"),
    "mobile": Said("2", "Missing to param"),
    "sender": Said("2", "Missing from param"),
    "content": Said("2", "Missing text"),
    "number": Said("3", "Invalid to address"),
    "credentials": Said("4", "Bad Credentials"),
    "sign": Said("14", "Invalid Signature"),
    "timestamp": Said("14", "Invalid Signature: stale timestamp"),
    "other": Said("5", "Internal Error"),
    "busy": Said("1", "Throughput Rate Exceeded - please wait and retry"),
    "blacklist": Said("7", "Number barred"),
    "suspended": Said("8", "Partner account barred"),
    "balance": Said("9", "Quota Exceeded - rejected"),
    "content_length": Said("12", "Message too long"),
    "ip": Said("29", "Non-Whitelisted Destination"),
    "unmapped": Said("99", "Something else"),
}

_WEBHOOK = {
    "credentials_missing": Said("signature_missing", "send webhook-id, webhook-timestamp and webhook-signature", 401),
    "credentials": Said("unknown_account", "no account of that name", 404),
    "sign": Said("signature_invalid", "the signature does not match", 401),
    "timestamp": Said("timestamp_stale", "webhook-timestamp is more than 5 minutes off", 401),
    "parameters": Said("body_invalid", "the body is a JSON object of type message.send with strings to and text", 400),
    "mobile": Said("to_missing", "say in `to` who is to get it", 400),
    "number": Said("number", "`to` is not an E.164 number", 422),
    "blacklist": Said("blocked", "the number is on the list", 422),
    "content": Said("text_missing", "say in `text` what to send", 400),
    "content_length": Said("text_too_long", "the text is longer than the account allows", 413),
    "keyword": Said("content", "the text holds a word that the account blocks", 422),
    "frequency": Said("rate", "too many for this number", 429),
    "balance": Said("balance", "the account has too little left", 402),
    "suspended": Said("suspended", "the account is suspended", 403),
    "ip": Said("address", "this address may not send", 403),
    "other": Said("internal", "something went wrong", 500),
    "busy": Said("busy", "busy: come back later", 503),
    "unmapped": Said("something_else", "something else", 418),
}

WORDS: Mapping[Protocol, Mapping[str, Said]] = {
    Protocol.TWILIO: _TWILIO,
    Protocol.ALIYUN: _ALIYUN,
    Protocol.TENCENT: _TENCENT,
    Protocol.VONAGE: _VONAGE,
    Protocol.WEBHOOK: _WEBHOOK,
}
"""By protocol and by the name of the refusal, as `words` and the fault table have it."""
