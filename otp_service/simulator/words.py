"""The family's words: every refusal with its Chinese text, its miaodi code, and a hint for who meets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not accepted, in the words of each dialect. `{}` in a text is filled with the occasion."""

    name: str
    message: str
    resp_code: str
    hint: str
    hint_zh: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One occasion of a refusal. `about` fills the blank of its text; it never holds a secret."""

    refusal: Refusal
    about: str = ""

    @property
    def message(self) -> str:
        return self.refusal.message.replace("{}", self.about)


ACTION = Refusal(
    "action",
    "参数错误",
    "00002",
    "`action` must be one that this path knows.",
    "action 不是此路径支持的值。",
)
CREDENTIALS_MISSING = Refusal(
    "credentials_missing",
    "用户名或密码不能为空",
    "00020",
    "Send account and password (v2 and miaodi: account and sign).",
    "请带上 account 和 password（v2、秒滴为 account 和 sign）。",
)
SIGN = Refusal(
    "sign",
    "sign参数错误",
    "00006",
    "`sign` is 32 lower-case hex digits, MD5 of account + password + timestamp.",
    "sign 为 32 位小写 MD5（account + password + timestamp）。",
)
TIMESTAMP = Refusal(
    "timestamp",
    "sign参数错误，时间戳超出有效范围",
    "00005",
    "`timestamp` is yyyyMMddHHmmss in China time (UTC+8), at most 300 s off.",
    "timestamp 为北京时间 yyyyMMddHHmmss，误差不超过 300 秒。",
)
SEND_TIME = Refusal(
    "send_time",
    "sendTime参数错误",
    "00015",
    "`sendTime` is empty, 0, 14 digits of China time within 300 s (seed), or yyyy-MM-dd HH:mm:ss to schedule.",
    "sendTime 可为空、0、误差 300 秒内的 14 位北京时间（seed），或 yyyy-MM-dd HH:mm:ss 定时。",
)
CREDENTIALS = Refusal(
    "credentials",
    "用户名或密码错误",
    "00040",
    "No such account, or the password (its MD5, its sign) is not the right one.",
    "账户不存在，或密码（MD5、sign）不正确。",
)
MOBILE = Refusal(
    "mobile",
    "短信号码不能为空",
    "00151",
    "Send the number in `mobile` (miaodi: `to`).",
    "请在 mobile 中填写号码。",
)
CONTENT = Refusal(
    "content",
    "短信内容不能为空",
    "00018",
    "Send the text in `content` (miaodi: `smsContent`).",
    "请在 content 中填写短信内容。",
)
CONTENT_CHARSET = Refusal(
    "content_charset",
    "content解析错误",
    "00138",
    "The bytes of the text are not in the charset of this path. GBK holds neither emoji nor €.",
    "短信内容不符合此路径的字符集；GBK 不含表情和 €。",
)
CONTENT_LENGTH = Refusal(
    "content_length",
    "短信内容超过{}个字",
    "00139",
    "The text is longer than the account allows.",
    "短信内容超过账户允许的长度。",
)
NUMBER = Refusal(
    "number",
    "号码格式错误",
    "00025",
    "Numbers are 11 digits, 1[3-9] first, without +86; several are separated by a half-width comma.",
    "号码为 11 位数字，以 1[3-9] 开头，不带 +86；多个号码用半角逗号分隔。",
)
BLACKLIST = Refusal(
    "blacklist",
    "号码在黑名单中",
    "00111",
    "The number is on this account's blacklist.",
    "号码在账户黑名单中。",
)
SIGNATURE = Refusal(
    "signature",
    "短信必须带【】格式签名{}",
    "00167",
    "The text needs exactly one signature in 【】, at the account's side and of the account's length.",
    "短信须有且只有一个【】签名，位置与长度须符合账户要求。",
)
TEMPLATE = Refusal(
    "template",
    "短信内容与报备模板不符",
    "00134",
    "The text matches none of the account's filed templates.",
    "短信内容与账户的报备模板不符。",
)
KEYWORD = Refusal(
    "keyword",
    "包含非法字符：{}",
    "00100",
    "The text holds a word that the account blocks.",
    "短信内容含有账户屏蔽的词。",
)
EXTNO = Refusal(
    "extno",
    "扩展子号只能是数字{}",
    "00004",
    "`extno` is digits only, no longer than the account allows.",
    "extno 只能是数字，且不超过允许的长度。",
)
BATCH = Refusal(
    "batch",
    "一次最多提交{}个号码",
    "00004",
    "Fewer numbers in one request.",
    "请减少一次提交的号码数。",
)
SENDER = Refusal(
    "sender",
    "发送方不能为空",
    "00004",
    "Say who sends: `From` (or `MessagingServiceSid`) at Twilio, `from` at Vonage.",
    "请填写发送方：Twilio 为 From 或 MessagingServiceSid，Vonage 为 from。",
)
PARAMETERS = Refusal(
    "parameters",
    "参数格式错误",
    "00002",
    "The body or the template's parameters are not JSON of the right form; their values are strings.",
    "请求体或模板参数不是规定格式的 JSON；参数值须为字符串。",
)
NONCE = Refusal(
    "nonce",
    "签名随机数已使用",
    "00005",
    "Each request needs an x-acs-signature-nonce of its own.",
    "每个请求须使用新的 x-acs-signature-nonce。",
)
FREQUENCY = Refusal(
    "frequency",
    "发送频率过快，请稍后再试",
    "00174",
    "The account's frequency limit for this number is reached.",
    "已达到账户对该号码的频率限制。",
)
BALANCE = Refusal(
    "balance",
    "对不起，您当前要发送的量大于您当前余额",
    "00023",
    "The account has too little left: parts × numbers are charged.",
    "账户余额不足：按条数 × 号码数计费。",
)

PROVOKED = "Provoked by the number's last four digits, or by a fault set on the account."
PROVOKED_ZH = "由号码末四位或账户上设置的故障触发。"


def _provoked(name: str, message: str, resp_code: str) -> Refusal:
    return Refusal(name, message, resp_code, PROVOKED, PROVOKED_ZH)


IP = _provoked("ip", "IP未授权", "00066")
SUSPENDED = _provoked("suspended", "账户已停用", "00066")
ACCOUNT_EXPIRED = _provoked("account_expired", "账户已过期", "00066")
SENSITIVE = _provoked("sensitive", "内容含有敏感词", "00143")
INJECTION = _provoked("injection", "内容疑似sql注入", "00100")
SIGNATURE_NEEDED = _provoked("signature_needed", "短信需要签名", "00168")
OTHER = _provoked("other", "其他错误", "00001")
BUSY = _provoked("busy", "系统繁忙", "00503")
HOURS = _provoked("hours", "当前时间段不允许发送", "00008")
UNMAPPED = _provoked("unmapped", "操作失败", "00999")

MIAODI_CODES = tuple(
    f"{number:05}"
    for number in (
        *(1, 5, 6, 7, 8, 15, 17, 20, 21, 22, 23, 25, 40, 53, 66, 79, 100, 105, 109, 111, 113, 134, 136),
        *(138, 139, 140, 141, 142, 143, 151, 152, 153, 154, 158, 159, 161, 162, 163, 165, 166, 167, 168),
        *(169, 170, 171, 172, 173, 174, 176, 192, 204, 208, 503),
    )
)
"""The respCodes that clients of the miaodi API are known to tell apart."""

MIAODI_WORDS = {
    "00000": "请求成功。",
    "00001": "未知错误",
    "00005": "时间戳已过期",
    "00006": "sign错误",
    "00007": "重复提交",
    "00008": "操作频繁",
    "00020": "账户不存在",
    "00023": "余额不足",
    "00025": "手机号格式错误",
    "00040": "账户或密码错误",
    "00100": "包含敏感词",
    "00111": "号码在黑名单中",
    "00134": "没有匹配的模板",
    "00141": "一小时内发送次数超过限制",
    "00142": "一天内发送次数超过限制",
    "00174": "一分钟内发送次数超过限制",
    "00503": "系统繁忙",
}
"""What we say beside a code; a code that is not here comes with 请求失败."""


def miaodi_words(resp_code: str) -> str:
    return MIAODI_WORDS.get(resp_code, "请求失败")
