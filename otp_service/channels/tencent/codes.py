"""Tencent Cloud's error codes, by their own name or their family's. Source: its lists of common codes and SMS' own."""

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
    **codes("InvalidParameterValue.IncorrectPhoneNumber FailedOperation.PhoneNumberInBlacklist", NUMBER),
    "FailedOperation.InsufficientBalanceInSmsPackage": BALANCE,
    "UnauthorizedOperation.ServiceSuspendDueToArrears": BALANCE,
    **codes("LimitExceeded.AppCountryOrRegionInBlacklist LimitExceeded.PhoneNumberCountLimit", CONFIG),
    "LimitExceeded.PhoneNumberThirtySecondLimit": RATE._replace(retry_after=30.0),
    "LimitExceeded.PhoneNumberOneHourLimit": RATE._replace(retry_after=3600.0),
    "LimitExceeded": RATE,
    **codes("RequestLimitExceeded InternalError.RequestLimitExceeded", TOO_OFTEN),
    **codes("FailedOperation.ContainSensitiveWord InvalidParameterValue.ContentLengthLimit", CONTENT),
    **codes("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter", CONTENT),
    **codes("InvalidParameterValue.TemplateParameterLengthLimit", CONTENT),
    **codes("FailedOperation.SignatureIncorrectOrUnapproved FailedOperation.MissingSignature", CONFIG),
    **codes("FailedOperation.TemplateIncorrectOrUnapproved FailedOperation.TemplateUnapprovedOrNotExist", CONFIG),
    **codes("FailedOperation.TemplateParamSetNotMatchApprovedTemplate FailedOperation.FailResolvePacket", CONFIG),
    **codes("FailedOperation.MarketingSendTimeConstraint FailedOperation.JsonParseFail", CONFIG),
    **codes("InternalError.RequestTimeException InternalError.RestApiInterfaceNotExist", CONFIG),
    **codes("InternalError.SigVerificationFail InternalError.SigFieldMissing", ACCOUNT),
    "InternalError": UNKNOWN,
    "AuthFailure.SignatureExpire": CONFIG,
    **codes("AuthFailure UnauthorizedOperation IpInBlacklist IpNotInWhitelist ResourceInsufficient", ACCOUNT),
    **codes("InvalidParameter InvalidParameterValue MissingParameter UnknownParameter UnsupportedOperation", CONFIG),
    **codes("ActionOffline InvalidAction InvalidRequest NoSuchProduct NoSuchVersion UnsupportedProtocol", CONFIG),
    **codes("UnsupportedRegion RequestSizeLimitExceeded ResourceNotFound", CONFIG),
    **codes("ResourceUnavailable ServiceUnavailable", RETRYABLE),
}
"""A country that Tencent does not reach (`UnsupportedOperation`) is no fault of the number: another channel may."""
