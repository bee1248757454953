"""Aliyun's error codes. Source: its lists of SendSms' own codes (`isv.`, `isp.`) and of its gateway's common ones."""

from __future__ import annotations

from otp_service.channels.http_outcomes import (
    ACCOUNT,
    BALANCE,
    CONFIG,
    CONTENT,
    NUMBER,
    RATE,
    RETRYABLE,
    TOO_OFTEN,
    UNKNOWN,
    Rule,
    codes,
)

REFUSALS: dict[str, Rule] = {
    **codes("isv.MOBILE_NUMBER_ILLEGAL isv.CUSTOMER_REFUSED", NUMBER),
    **codes("isv.BUSINESS_LIMIT_CONTROL isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL", RATE),
    **codes("isv.AMOUNT_NOT_ENOUGH isv.BILLING_DEDUCTION_ERROR", BALANCE),
    **codes("isv.OUT_OF_SERVICE isv.ACCOUNT_NOT_EXISTS isv.ACCOUNT_ABNORMAL isv.PRODUCT_UNSUBSCRIBE", ACCOUNT),
    **codes("isv.PRODUCT_UN_SUBSCRIPT isv.DENY_IP_RANGE isv.RAM_CHECK_FAILED isp.RAM_PERMISSION_DENY", ACCOUNT),
    **codes("isv.SMS_CONTENT_ILLEGAL isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE isv.UNSUPPORTED_CONTENT", CONTENT),
    **codes("isv.BLACK_KEY_CONTROL_LIMIT isv.PARAM_NOT_SUPPORT_URL isv.PARAM_LENGTH_LIMIT", CONTENT),
    **codes("isv.SMS_TEMPLATE_ILLEGAL isv.SMS_SIGNATURE_ILLEGAL isv.SMS_SIGN_ILLEGAL isv.SIGN_NAME_ILLEGAL", CONFIG),
    **codes("isv.SIGN_STATE_ILLEGAL isv.SIGNATURE_BLACKLIST isv.SMS_SIGNATURE_SCENE_ILLEGAL", CONFIG),
    **codes("isv.TEMPLATE_MISSING_PARAMETERS isv.TEMPLATE_PARAMS_ILLEGAL isv.INVALID_JSON_PARAM", CONFIG),
    **codes("isv.INVALID_PARAMETERS isv.EXTEND_CODE_ERROR isv.MOBILE_COUNT_OVER_LIMIT", CONFIG),
    **codes("isv.DOMESTIC_NUMBER_NOT_SUPPORTED isv.NOT_SUPPORTED_COUNTRY isv.COUNTRY_RESTRICTED", CONFIG),
    **codes("isp.SYSTEM_ERROR isp.GATEWAY_ERROR isp.UNKNOWN InternalError", UNKNOWN),
    **codes("SignatureDoesNotMatch IncompleteSignature InvalidAccessKeyId InvalidSecurityToken", ACCOUNT),
    **codes("Forbidden NoPermission MissingAuthorization", ACCOUNT),
    **codes("InvalidTimeStamp InvalidVersion InvalidAction UnsupportedOperation MissingParameter", CONFIG),
    **codes("InvalidParameter MissingPhoneNumbers MissingTemplateCode MissingSignName", CONFIG),
    **codes("Throttling", TOO_OFTEN),
    **codes("ServiceUnavailable", RETRYABLE),
    "SignatureNonceUsed": UNKNOWN,
}
"""A nonce that was used is our own request seen twice: what came of the first, this answer does not say."""

REFUSED_BEFORE_SENDING = "isv."
"""How codes of Aliyun begin that say what is wrong with the request: nothing was sent, even where no rule knows one."""
