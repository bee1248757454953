"""What the family's words and codes mean to us: tables, read from the top."""

from __future__ import annotations

import re

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
from otp_service.ports import Outcome, Reason

SUCCESS_WORDS = frozenset({"success", "sucess", "succeed"})
FAILURE_WORDS = frozenset({"faild", "fail", "failed", "failure", "error"})
SUCCESS_CODES = frozenset({"00000", "0000"})

STALE = Rule(Outcome.REJECTED, Reason.CONFIG, stale=True)

_USER = "(用户|密码|[帐账][号户])"
# Content first: these messages quote the text that they refuse, and it may hold any of the other words.
_MESSAGES = (
    (
        r"非法(字|词|关键)|敏感(字|词)|屏蔽词|关键字|sql\s*注入|【】|(需要|缺少)签名|签名(未|没|格式)|content\s*解析|模[板版]",
        CONTENT,
    ),
    (r"sign\s*参数错误", STALE),
    (r"余额|余量不足|欠费", BALANCE),
    (r"频率|过快", TOO_OFTEN),
    (r"繁忙|时间段", RETRYABLE),
    (r"号码.*(为空|错误|格式)|黑名单", NUMBER),
    (rf"{_USER}.*(不能为空|错误|不存在|停用|过期)|密码错|ip\s*(地址)?未授权", ACCOUNT),
    (r"参数错误|扩展子号只能是数字", CONFIG),
    (r"其[他它]错误", RETRYABLE),
)
_LONGEST_MESSAGE = 500
"""Characters looked at: the patterns take quadratic time on a text made to hurt them."""
MESSAGES = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), rule) for pattern, rule in _MESSAGES)
_SIMPLIFIED = str.maketrans(
    "戶碼帳賬號為爲錯誤餘額費頻過時間單權參數擴詞關鍵簽籤沒",
    "户码帐账号为为错误余额费频过时间单权参数扩词关键签签没",
)
"""The Traditional characters of the words above."""


def by_message(text: str) -> Rule | None:
    """The rule for a failure's text, Simplified or Traditional; None when no rule knows it."""
    start = text[:_LONGEST_MESSAGE].translate(_SIMPLIFIED)
    return next((rule for pattern, rule in MESSAGES if pattern.search(start)), None)


RESP_CODES = {
    **codes("00001 00007 00017 00079 00165 00192 00204 00208", UNKNOWN),
    **codes("00008 00022 00140 00159 00503", RETRYABLE),
    "00174": TOO_OFTEN._replace(retry_after=60.0),
    "00141": TOO_OFTEN._replace(retry_after=3600.0),
    **codes("00005 00015", STALE),
    **codes("00006 00020 00021 00040 00066 00109 00136 00152 00158 00166 00176", ACCOUNT),
    "00023": BALANCE,
    **codes("00025 00053 00105 00111 00151 00153 00154", NUMBER),
    "00142": RATE,
    **codes("00100 00113 00134 00138 00139 00143 00161 00162 00163", CONTENT),
    **codes("00167 00168 00169 00170 00171 00172 00173", CONTENT),
}
"""miaodi's respCode, five digits."""

XML_ERRORS = {"1": ACCOUNT, "2": ACCOUNT, "3": ACCOUNT, "4": CONFIG}
"""`errorstatus/error` in XML: credentials empty, wrong, not allowed, bad parameters. In JSON 1 means success."""
