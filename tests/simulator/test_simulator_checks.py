"""What the gateway checks, in which order, and what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulator_helpers import TEXT, Simulator, china_stamp, leaves, signed

SINS = [
    ("参数错误", {"action": "sned"}),
    ("用户名或密码不能为空", {"password": ""}),
    ("sendTime参数错误", {"sendTime": china_stamp(-400)}),
    ("用户名或密码错误", {"account": "nobody"}),
    ("短信号码不能为空", {"mobile": " , "}),
    ("短信内容不能为空", {"content": ""}),
    ("号码格式错误", {"mobile": "12345678901,+8613800138000"}),
    ("短信必须带【】格式签名", {"content": "贷款"}),
    ("短信内容与报备模板不符", {"content": "【今信科技】贷款"}),
    ("包含非法字符：贷款", {"content": "【今信科技】贷款345678"}),
    ("扩展子号只能是数字", {"extno": "1a"}),
    ("一次最多提交100个号码", {"mobile": ",".join(["13800138000"] * 101)}),
    ("发送频率过快，请稍后再试", {"mobile": "13900001234"}),
    ("对不起，您当前要发送的量大于您当前余额", {}),
]


def test_checks_come_in_the_family_s_order(simulator: Simulator) -> None:
    """Every later sin is committed as well, and still the earliest one is named."""
    filed = ["贷款{code}", "您的验证码是{code}，5分钟内有效。"]
    simulator.account(balance=1, frequency=["1/1h"], templates=filed)
    assert simulator.verdict(mobile="13900001234")["returnstatus"] == "Success"
    for at, (message, _) in enumerate(SINS):
        fields: dict[str, str] = {}
        for _, sin in reversed(SINS[at:]):
            fields |= sin
        assert simulator.verdict(**fields)["message"] == message, fields


@pytest.mark.parametrize(("message", "sin"), SINS[:8])
def test_each_sin_alone_is_refused_in_the_family_s_words(
    simulator: Simulator, message: str, sin: dict[str, str]
) -> None:
    answer = simulator.verdict(**sin)
    assert answer == {
        "returnstatus": "Faild",
        "message": message,
        "remainpoint": "0",
        "taskID": "0",
        "successCounts": "0",
    }


def test_a_refused_message_costs_nothing_is_nowhere_and_is_explained_in_the_log(simulator: Simulator) -> None:
    simulator.verdict(content="no signature", password="demo")
    assert simulator.messages() == []
    assert simulator.http.get("/api/accounts/demo").json()["balance"] == 1_000_000
    (entry,) = simulator.http.get("/api/log").json()["refusals"]
    assert (entry["check"], entry["message"]) == ("signature", "短信必须带【】格式签名")
    assert "【】" in entry["hint"]


@pytest.mark.parametrize(
    ("content", "side", "good"),
    [
        (TEXT, "front", True),
        ("您的验证码是345678【今信科技】", "front", False),
        ("您的验证码是345678【今信科技】", "rear", True),
        (TEXT, "rear", False),
        ("您的【今信科技】验证码", "any", True),
        ("【今信科技】您的验证码【是】", "any", False),
        ("】今信科技【您的验证码", "any", False),
        ("【今】您的验证码", "front", False),
        ("【" + "今" * 21 + "】您的验证码", "front", False),
        ("【" + "今" * 20 + "】您的验证码", "front", True),
    ],
)
def test_a_signature_is_one_pair_at_its_side_and_of_its_length(
    simulator: Simulator, content: str, side: str, good: bool
) -> None:
    simulator.account(signature_side=side)
    assert (simulator.verdict(content=content)["returnstatus"] == "Success") is good


def test_a_gateway_may_add_the_signature_itself(simulator: Simulator) -> None:
    simulator.account(signature_side="gateway", signature="某公司")
    assert simulator.verdict(content="您的验证码是345678")["returnstatus"] == "Success"
    assert simulator.messages()[0]["content"] == "【某公司】您的验证码是345678"
    assert simulator.verdict()["message"].startswith("短信必须带【】格式签名")


def test_an_account_may_do_without_signature(simulator: Simulator) -> None:
    simulator.account(signature_required=False)
    assert simulator.verdict(content="345678 is your code")["returnstatus"] == "Success"


def test_only_filed_templates_pass_where_the_account_has_some(simulator: Simulator) -> None:
    simulator.account(templates=["您的验证码是{{ code }}，#minutes#分钟内有效。"])
    assert simulator.verdict()["returnstatus"] == "Success"
    assert simulator.verdict(content="【今信科技】验证码：345678")["message"] == "短信内容与报备模板不符"


def test_extno_has_a_length_and_the_batch_a_size(simulator: Simulator) -> None:
    assert simulator.verdict(extno="12345")["returnstatus"] == "Success"
    assert simulator.verdict(extno="123456")["message"].startswith("扩展子号只能是数字")
    hundred = ",".join(f"138001380{i:02}" for i in range(100))
    assert simulator.verdict(mobile=hundred)["successCounts"] == "100"


def test_a_blacklisted_number_is_refused(simulator: Simulator) -> None:
    simulator.account(blacklist=["13800138000"])
    assert simulator.verdict()["message"] == "号码在黑名单中"
    assert simulator.verdict(mobile="13800138001")["returnstatus"] == "Success"


def test_frequency_counts_each_number_by_itself_and_only_what_was_accepted(simulator: Simulator) -> None:
    simulator.account(frequency=["2/1h"])
    simulator.verdict(content="no signature")
    assert [simulator.verdict()["returnstatus"] for _ in range(3)] == ["Success", "Success", "Faild"]
    assert simulator.verdict(mobile="13800138001")["returnstatus"] == "Success"


def test_parts_times_numbers_are_charged_and_only_if_enough_is_left(simulator: Simulator) -> None:
    simulator.account(balance=3)
    long = "【今信科技】" + "字" * 65
    assert simulator.verdict(content=long, mobile="13800138000,13800138001")["message"].endswith("余额")
    assert simulator.verdict(content=long)["remainpoint"] == "1"
    assert simulator.verdict()["remainpoint"] == "0"
    assert simulator.verdict()["returnstatus"] == "Faild"
    simulator.account(postpaid=True)
    assert simulator.verdict()["remainpoint"] == "-1"


Fields = Callable[[], dict[str, str]]


@pytest.mark.parametrize(
    ("offset", "fields", "message"),
    [
        (0, {}, "ok"),
        (290, {}, "ok"),
        (-290, {}, "ok"),
        (310, {}, "sign参数错误，时间戳超出有效范围"),
        (-310, {}, "sign参数错误，时间戳超出有效范围"),
        (0, {"sign": ""}, "用户名或密码不能为空"),
        (0, {"sign": "A" * 32}, "sign参数错误"),
        (0, {"sign": "a" * 32}, "用户名或密码错误"),
        (0, {"timestamp": "yesterday"}, "sign参数错误，时间戳超出有效范围"),
        (0, {"timestamp": "20269999999999"}, "sign参数错误，时间戳超出有效范围"),
    ],
)
def test_v2_wants_a_fresh_timestamp_and_its_sign(
    simulator: Simulator, offset: int, fields: dict[str, str], message: str
) -> None:
    answer = simulator.verdict("/v2sms.aspx", **{**signed(offset=offset), "password": "", **fields})
    assert answer["message"] == message


def test_the_published_vector_of_v2_is_ours(simulator: Simulator) -> None:
    """Account test, password mima, 20120701231212: stale by now, but a sign that is merely wrong is told apart."""
    simulator.account("test", password="mima")
    vector = {"account": "test", "timestamp": "20120701231212", "sign": "5cc68982f55ac74348e3d819f868fbe1"}
    assert "时间戳" in simulator.verdict("/v2sms.aspx", **vector)["message"]


def test_huaxin_wants_the_password_as_upper_case_md5_and_the_signature_at_the_rear(simulator: Simulator) -> None:
    simulator.account("h", password="abc123")
    good = {"account": "h", "password": "E99A18C428CB38D5F260853678922E03", "content": "验证码345678【今信科技】"}
    answer = simulator.send("/smsJson.aspx", **good).json()
    assert (answer["returnstatus"], answer["message"]) == ("Success", "操作成功")
    for bad in ({"password": "abc123"}, {"password": good["password"].lower()}):
        assert simulator.send("/smsJson.aspx", **good | bad).json()["message"] == "用户名或密码错误"
    assert "最后面" in simulator.send("/smsJson.aspx", **good | {"content": TEXT}).json()["message"]


def test_userid_matters_only_where_the_account_says_so(simulator: Simulator) -> None:
    assert simulator.verdict(userid="")["returnstatus"] == "Success"
    simulator.account(check_userid=True)
    assert simulator.verdict(userid="13")["message"] == "用户名或密码错误"
    assert simulator.verdict(userid="12")["returnstatus"] == "Success"


@pytest.mark.parametrize("text", ["", "0"])
def test_send_time_may_say_now(simulator: Simulator, text: str) -> None:
    assert simulator.verdict(sendTime=text)["returnstatus"] == "Success"
    assert len(simulator.messages()) == 1


def test_fourteen_digits_are_a_timestamp_for_seed_and_a_schedule_for_classic(simulator: Simulator) -> None:
    assert simulator.verdict(sendTime=china_stamp())["returnstatus"] == "Success"
    assert simulator.verdict(sendTime=china_stamp(400))["message"] == "sendTime参数错误"
    simulator.account(profile="classic")
    assert simulator.verdict(mobile="13900001234", sendTime=china_stamp(400))["returnstatus"] == "Success"
    assert simulator.messages(mobile="13900001234") == []


def test_a_scheduled_message_arrives_at_its_time(simulator: Simulator) -> None:
    stamp = china_stamp(2)
    date = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[8:10]}:{stamp[10:12]}:{stamp[12:]}"
    assert simulator.verdict(sendTime=date)["returnstatus"] == "Success"
    assert simulator.messages() == []
    (message,) = simulator.messages(wait=5)
    assert message["mobile"] == "13800138000"


def test_miaodi_refuses_in_its_own_codes(simulator: Simulator) -> None:
    path = "/20150822/industrySMS/sendSMS"
    good = {"accountSid": "demo", "smsContent": TEXT, "to": "13800138000", "respDataType": "JSON"}

    def code(**changes: str) -> str:
        fields = signed()
        data = {**good, "timestamp": fields["timestamp"], "sig": fields["sign"], **changes}
        found: str = simulator.http.post(path, data=data).json()["respCode"]
        return found

    assert code() == "00000"
    assert code(sig="") == "00020"
    assert code(sig="x") == "00006"
    assert code(timestamp=china_stamp(400)) == "00005"
    assert code(sig="a" * 32) == "00040"
    assert code(to="123") == "00025"
    assert code(smsContent="【今信科技】贷款") == "00100"
    simulator.account(balance=0)
    assert code() == "00023"


def test_balance_and_keywords_can_be_asked_for(simulator: Simulator) -> None:
    simulator.account(balance=26)
    simulator.send()
    asked = {"account": "demo", "password": "demo"}
    answer = simulator.http.post("/sms.aspx?action=overage", data=asked)
    expected = {"returnstatus": "Sucess", "message": "", "payinfo": "预付费", "overage": "25", "sendTotal": "1"}
    assert leaves(answer) == expected
    clean = simulator.http.post("/sms.aspx?action=checkkeyword", data={**asked, "content": "你好"})
    assert leaves(clean) == {"returnstatus": "Success", "message": "没有包含屏蔽词"}
    hit = simulator.http.post("/sms.aspx?action=checkkeyword", data={**asked, "content": "贷款"})
    assert leaves(hit) == {"returnstatus": "Success", "message": "包含非法字符：贷款"}
    wrong = simulator.http.post("/sms.aspx?action=overage", data={"account": "demo", "password": "x"})
    assert leaves(wrong)["message"] == "用户名或密码错误"
