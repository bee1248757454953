"""The OpenAPI document and the pages made from it."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
import schemathesis
from fake_verifier import PENDING
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from otp_service import errors
from otp_service.verification import Status
from otp_service.web.openapi import openapi
from otp_service.web.problem_docs import LANGUAGES, problem_docs
from otp_service.web.problems import STATUS
from otp_service.web.routes import CALLS

START = {"to": "+8613800138000", "purpose": "login"}
BODIES = {
    "lookup": {"to": "+8613800138000"},
    "enable": {"to": "+8613800138000"},
    "start": START,
    "resend": {},
    "check": {"code": "345678"},
    "checkByRecipient": START | {"code": "345678"},
    "verifyToken": START | {"token": "a.b.c"},
}


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(openapi("1.2.3")))


def schema_of(document, answer, path, method):
    """The schema that the document promises for this answer, with its references."""
    promised = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
    return {**promised["content"][answer.content_type]["schema"], "components": document["components"]}


def test_the_document_is_openapi_3_1(api, document):
    served = api.get("/openapi.json")
    assert served.content_type == "application/json"
    assert served.json == document
    assert not list(OPENAPI_31_VALIDATOR.iter_errors(document))


def test_every_schema_is_json_schema_2020_12(document):
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_a_tool_reads_every_operation_from_it(document):
    operations = [result.ok().label for result in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) == len(CALLS)


def test_every_example_fits_its_schema(document):
    components = document["components"]
    for operations in document["paths"].values():
        for operation in operations.values():
            contents = [operation.get("requestBody", {"content": {}}), *operation["responses"].values()]
            for content in (media for part in contents for media in part["content"].values()):
                examples = (
                    [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
                )
                for example in examples:
                    jsonschema_rs.validate({**content["schema"], "components": components}, example)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.operation)
def test_each_success_is_as_the_document_promises(api, document, call):
    api.verifier.shown = PENDING._replace(metadata={"a": "b"}, test=True)
    path, body = call.path.replace("{id}", "ver_1"), BODIES.get(call.operation)
    answer = api.call(call.method, path, body, Prefer="wait=1")
    jsonschema_rs.validate(schema_of(document, answer, call.path, call.method), answer.json)
    promised = document["paths"][call.path][call.method.lower()]["responses"][str(answer.status_code)]["headers"]
    assert {name for name in promised if name != "Idempotent-Replayed"} <= set(answer.headers.keys())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.operation)
def test_each_problem_of_each_call_is_as_the_document_promises(api, document, call):
    for problem in call.all_problems:
        is_plain = problem in (errors.InvalidRecipient, errors.ChallengeRequired)
        api.verifier.refusal = problem("x") if is_plain else problem("x", verification=PENDING, limit="sends")
        answer = api.call(call.method, call.path.replace("{id}", "ver_1"), BODIES.get(call.operation))
        assert answer.status_code == STATUS[problem]
        jsonschema_rs.validate(schema_of(document, answer, call.path, call.method), answer.json)


def test_every_status_of_a_verification_is_in_the_document(document):
    assert set(document["components"]["schemas"]["Status"]["enum"]) == set(Status)


def test_what_null_means_is_in_the_schemas(document):
    start = document["components"]["schemas"]["StartBody"]
    jsonschema_rs.validate({**start, "components": document["components"]}, START | {"session": None, "deliver": None})


def test_the_reference_shows_every_call_and_fetches_nothing(api):
    page = api.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    for call in CALLS:
        assert f'id="{call.operation}"' in page.text
        assert call.path in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "//" not in page.text.replace("http://127.0.0.1:8000", "")


def test_the_links_of_the_reference_lead_somewhere(api):
    page = api.get("/docs").text
    links = {part.split('"')[0] for part in page.split('href="')[1:]}
    for link in links:
        assert f'id="{link[1:]}"' in page if link.startswith("#") else api.get(link).status_code == 200, link


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("problem", STATUS, ids=lambda problem: problem.name)
def test_each_problem_has_its_page_in_each_language(api, problem, language):
    page = api.get(f"/problems/{problem.name}", Accept="text/html", Accept_Language=language)
    text = problem_docs()[problem.name].texts[language]
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    assert f"<h1>{text.title}</h1>" in page.text.replace("&#39;", "'")
    assert problem.name in page.text


@pytest.mark.parametrize("name", problem_docs())
def test_each_problem_is_explained_completely_in_each_language(name):
    doc = problem_docs()[name]
    assert set(doc.texts) == set(LANGUAGES)
    for text in doc.texts.values():
        assert all((text.title, text.when, text.person, text.code))
    assert doc.texts["en"].title != doc.texts["zh-CN"].title


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh", "zh-CN"),
        ("zh-TW,zh;q=0.9", "zh-CN"),
        ("de, en;q=0.5", "en"),
        ("", "en"),
        ("fr", "en"),
        ("zh-Hans-CN", "zh-CN"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(api, header, language):
    assert f'<html lang="{language}">' in api.get("/problems/expired", Accept_Language=header).text


def test_a_link_can_name_the_language(api):
    assert '<html lang="zh-CN">' in api.get("/problems/?lang=zh-CN", Accept_Language="en").text
    assert '<html lang="en">' in api.get("/problems/?lang=nonsense", Accept_Language="en").text


def test_a_program_gets_the_problem_as_json_in_every_language(api):
    answer = api.get("/problems/rate_limited", Accept="application/json")
    assert answer.content_type == "application/json"
    assert answer.json["status"] == 429
    assert set(answer.json["texts"]["zh-CN"]) == {"title", "when", "person", "code"}
    assert answer.json["example"]["retry_after"] == 42
    assert len(api.get("/problems/", Accept="application/json").json) == len(STATUS)
    assert set(answer.vary) == {"Accept", "Accept-Language"}


def test_the_index_needs_no_redirect_for_a_missing_slash(api):
    """A redirect would take its target from the Host header."""
    assert api.get("/problems").status_code == 200


def test_a_problem_that_does_not_exist_has_no_page(api):
    assert api.get("/problems/nothing").status_code == 404


@pytest.mark.parametrize("name", ["pages.css", "icon.svg"])
def test_the_pages_carry_their_own_style_and_icon(api, name):
    assert api.get(f"/static/{name}").status_code == 200
