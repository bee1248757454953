"""Requests in every spelling that the field knows, and answers byte for byte."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from simulator_helpers import NUMBER, TEXT, Simulator, gbk_form, leaves, signed

FORM = "application/x-www-form-urlencoded"
MD5_OF_DEMO = "FE01CE2A7FBAC8FAFAED7C982A04E229"


def accepted(simulator: Simulator) -> str:
    (message,) = simulator.messages()
    found: str = message["content"]
    return found


def test_fields_may_come_as_query(simulator: Simulator) -> None:
    answer = simulator.http.get("/sms.aspx", params=simulator.fields())
    assert leaves(answer)["returnstatus"] == "Success"
    assert accepted(simulator) == TEXT


def test_fields_may_come_as_multipart(simulator: Simulator) -> None:
    parts = {name: (None, value) for name, value in simulator.fields().items()}
    assert leaves(simulator.http.post("/sms.aspx", files=parts))["returnstatus"] == "Success"
    assert accepted(simulator) == TEXT


def test_action_may_be_in_the_address_and_the_rest_in_the_body(simulator: Simulator) -> None:
    fields = simulator.fields()
    del fields["action"]
    assert leaves(simulator.http.post("/sms.aspx?action=send", data=fields))["returnstatus"] == "Success"


def test_fields_may_be_in_both_and_the_body_wins(simulator: Simulator) -> None:
    query = {"action": "send", "content": "【今信科技】not this one", "mobile": NUMBER}
    assert leaves(simulator.http.post("/sms.aspx", params=query, data=simulator.fields()))["returnstatus"] == "Success"
    assert accepted(simulator) == TEXT


def test_field_names_and_paths_may_be_in_any_case_and_slashes_doubled(simulator: Simulator) -> None:
    fields = {name.upper(): value for name, value in simulator.fields().items()}
    for path in ("/SMS.ASPX", "//sms.aspx", "/Sms.aspx"):
        assert leaves(simulator.http.post(simulator.url.rstrip("/") + path, data=fields))["returnstatus"] == "Success"


@pytest.mark.parametrize("path", ["/smsGBK.aspx", "/sms.aspx"])
def test_gbk_is_understood_where_the_family_speaks_it(simulator: Simulator, path: str) -> None:
    answer = simulator.http.post(path, content=gbk_form(simulator.fields()), headers={"content-type": FORM})
    assert b"Success" in answer.content
    assert accepted(simulator) == TEXT


def test_raw_gbk_bytes_in_a_form_are_understood_as_well(simulator: Simulator) -> None:
    raw = "&".join(f"{name}={value}" for name, value in simulator.fields().items()).encode("gbk")
    assert b"Success" in simulator.http.post("/smsGBK.aspx", content=raw, headers={"content-type": FORM}).content
    assert accepted(simulator) == TEXT


def test_a_gbk_path_answers_in_gbk_and_says_gb2312(simulator: Simulator) -> None:
    wrong = gbk_form(simulator.fields(password="wrong"))
    answer = simulator.http.post("/smsGBK.aspx", content=wrong, headers={"content-type": FORM})
    assert answer.content.startswith(b'<?xml version="1.0" encoding="gb2312" ?>')
    assert "用户名或密码错误" in answer.content.decode("gbk")


def test_a_declared_charset_is_believed_and_held_strictly(simulator: Simulator) -> None:
    kind = {"content-type": f"{FORM}; charset=gbk"}
    assert b"Success" in simulator.http.post("/sms.aspx", content=gbk_form(simulator.fields()), headers=kind).content
    emoji = "【今信科技】验证码345678😀"
    sent = simulator.http.post("/sms.aspx", data=simulator.fields(content=emoji), headers=kind)
    assert leaves(sent)["message"] == "content解析错误"


def test_a_path_of_gbk_reads_gbk_whatever_is_declared(simulator: Simulator) -> None:
    """A client that says UTF-8, and has mistaken the path, must learn it here and not from its first customer."""
    kind = {"content-type": f"{FORM}; charset=utf-8"}
    sent = simulator.http.post("/smsGBK.aspx", data=simulator.fields(), headers=kind)
    assert b"Faild" in sent.content
    sent = simulator.http.post("/smsGBK.aspx", content=gbk_form(simulator.fields()), headers=kind)
    assert b"Success" in sent.content


def test_text_in_the_wrong_charset_is_refused_not_guessed(simulator: Simulator) -> None:
    fields = simulator.fields(**signed())
    answer = simulator.http.post("/v2sms.aspx", content=gbk_form(fields), headers={"content-type": FORM})
    assert leaves(answer)["message"] == "content解析错误"


def test_the_xml_layout_is_the_family_s_to_the_byte(simulator: Simulator) -> None:
    simulator.account(balance=7864)
    answer = simulator.send()
    task = simulator.messages()[0]["taskid"]
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert (
        answer.content
        == (
            '<?xml version="1.0" encoding="utf-8" ?><returnsms>\r\n <returnstatus>Success</returnstatus>\r\n'
            " <message>ok</message>\r\n <remainpoint>7863</remainpoint>\r\n"
            f" <taskID>{task}</taskID>\r\n <successCounts>1</successCounts></returnsms>"
        ).encode()
    )


def test_rt_json_turns_the_answer_into_pascal_case_with_numbers(simulator: Simulator) -> None:
    simulator.account(balance=10005)
    answer = simulator.send("/v2sms.aspx", rt="json", **signed())
    task = simulator.messages()[0]["taskid"]
    assert answer.text == (
        '{"ReturnStatus":"Success","Message":"ok","RemainPoint":10004,"TaskID":' + task + ',"SuccessCounts":1}'
    )


def test_huaxin_answers_lower_case_strings(simulator: Simulator) -> None:
    content = "您的验证码是345678【今信科技】"
    answer = simulator.send("/smsJson.aspx", password=MD5_OF_DEMO, content=content)
    task = simulator.messages()[0]["taskid"]
    assert len(task) == 16
    assert answer.json() == {
        "returnstatus": "Success",
        "message": "操作成功",
        "remainpoint": "999999",
        "taskID": task,
        "successCounts": "1",
    }


def test_miaodi_answers_resp_code_and_a_hex_id(simulator: Simulator) -> None:
    fields = signed()
    data = {"accountSid": "demo", "smsContent": TEXT, "to": NUMBER}
    data |= {"timestamp": fields["timestamp"], "sig": fields["sign"]}
    answer = simulator.http.post("/20150822/industrySMS/sendSMS", data=data)
    task = simulator.messages()[0]["taskid"]
    assert len(task) == 32
    assert answer.text == (
        '{"respCode":"00000","respDesc":"请求成功。","failCount":"0","failList":[],"smsId":"' + task + '"}'
    )


def test_an_account_may_answer_in_another_shape(simulator: Simulator) -> None:
    simulator.account(answer="miaodi")
    assert simulator.send().json()["respCode"] == "00000"


def test_v2_gbk_takes_gbk(simulator: Simulator) -> None:
    fields = gbk_form(simulator.fields(**signed()))
    answer = simulator.http.post("/v2smsGBK.aspx", content=fields, headers={"content-type": FORM})
    assert b"<returnstatus>Success" in answer.content


def test_delivery_reports_come_after_their_delay_once(simulator: Simulator) -> None:
    simulator.account(report_delay=0)
    simulator.send(extno="01")
    simulator.send(content="refused")
    task = simulator.messages()[0]["taskid"]
    (report,) = simulator.reports()
    assert report.pop("receivetime").count(":") == 2
    assert report == {"mobile": NUMBER, "taskid": task, "status": "10", "errorcode": "DELIVRD", "extno": "01"}
    assert simulator.reports() == []
    simulator.account(report_delay=600)
    simulator.send()
    assert simulator.reports() == []


def test_reports_can_be_asked_for_by_task_and_in_portions(simulator: Simulator) -> None:
    simulator.account(report_delay=0)
    tasks = [simulator.verdict()["taskID"] for _ in range(4)]
    assert [row["taskid"] for row in simulator.reports(taskid=tasks[2])] == [tasks[2]]
    assert [row["taskid"] for row in simulator.reports(statusNum="2")] == tasks[:2]
    assert [row["taskid"] for row in simulator.reports()] == [tasks[3]]


def test_each_query_path_takes_its_own_credentials(simulator: Simulator) -> None:
    simulator.account(report_delay=0)
    simulator.send()
    asked = {"action": "query", "account": "demo"}
    empty = simulator.http.post("/statusApi.aspx", data=asked).content
    assert b"<errorstatus><error>1</error><remark>" in empty
    wrong = simulator.http.post("/statusApi.aspx", data={**asked, "password": "x"}).content
    assert b"<errorstatus><error>2</error><remark>" in wrong
    unknown = simulator.http.post("/statusApi.aspx", data={"account": "demo", "password": "demo"}).content
    assert b"<errorstatus><error>4</error>" in unknown
    json_wrong = simulator.http.post("/callJsonApi.aspx", data={**asked, "password": "x"})
    assert json_wrong.text == '{"error":"1005","remark":"密码错了","callbox":[]}'
    rows = simulator.http.post("/statusJsonApi.aspx", data={**asked, "password": MD5_OF_DEMO}).json()
    assert (rows["error"], rows["remark"], len(rows["statusbox"])) == ("1", "成功", 1)
    v2 = simulator.http.post("/v2statusApi.aspx", data={**asked, **signed()}).content
    assert v2 == b'<?xml version="1.0" encoding="utf-8" ?><returnsms></returnsms>'


def test_a_handset_s_reply_is_handed_out_once(simulator: Simulator) -> None:
    given = {"account": "demo", "mobile": NUMBER, "content": "<TD> & more", "taskid": "12"}
    assert simulator.http.post("/api/replies", json=given).status_code == 201
    asked = {"action": "query", "account": "demo", "password": "demo"}
    first = simulator.http.post("/callApi.aspx", data=asked).text
    assert "<callbox><mobile>13800138000</mobile><taskid>12</taskid><content>&lt;TD&gt; &amp; more</content>" in first
    assert "callbox" not in simulator.http.post("/callApi.aspx", data=asked).text


def test_other_methods_are_refused(simulator: Simulator) -> None:
    assert simulator.http.put("/sms.aspx").status_code == 405


def test_passwords_are_masked_wherever_an_exchange_is_shown(simulator: Simulator) -> None:
    simulator.account("secretive", password="p%ss&word")
    fields = simulator.fields(account="secretive", password="p%ss&word")
    simulator.http.get("/sms.aspx", params=fields)
    simulator.http.post("/sms.aspx", data=fields)
    simulator.http.post("/sms.aspx", files={name: (None, value) for name, value in fields.items()})
    simulator.http.post("/sms.aspx", data={**fields, "content": "refused"})
    shown = [simulator.http.get(f"/api/messages/{row['id']}").text for row in simulator.messages()]
    shown += [
        simulator.http.get(f"/api/log/{row['id']}").text for row in simulator.http.get("/api/log").json()["refusals"]
    ]
    shown.append(simulator.http.get("/api/accounts/secretive").text)
    assert len(shown) == 5
    for text in shown:
        assert "ss&word" not in text
        assert quote("p%ss&word") not in text
    assert all("•••" in json.loads(text)["raw_request"] for text in shown[:4])
